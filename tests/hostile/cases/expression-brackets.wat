;; A filter of eight thousand opening brackets.
;; expect: page 5
(func $compose (result i32) (local $set i32)
  (local.set $set (call $trending (i32.const 5)))
  (memory.fill (i32.const 4096) (i32.const 40) (i32.const 8000))
  (call $keep (local.get $set) (i32.const 4096) (i32.const 8000) (i32.const 700))
  (call $must-not)
  (call $page (local.get $set)))
