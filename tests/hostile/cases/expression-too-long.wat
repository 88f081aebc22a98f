;; A filter of nine thousand bytes, and one of a megabyte.
;; expect: page 5
;; pages: 20
(func $compose (result i32) (local $set i32)
  (local.set $set (call $trending (i32.const 5)))
  (memory.fill (i32.const 65536) (i32.const 32) (i32.const 1000000))
  (call $keep (local.get $set) (i32.const 65536) (i32.const 9000) (i32.const 700))
  (call $must-not)
  (call $keep (local.get $set) (i32.const 65536) (i32.const 1000000) (i32.const 700))
  (call $must-not)
  (call $page (local.get $set)))
