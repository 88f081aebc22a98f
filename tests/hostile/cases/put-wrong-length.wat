;; Puts four numbers beside five candidates, then none, then a million: an error each, and the set is as it was.
;; expect: page 5
;; pages: 20
(func $compose (result i32) (local $set i32)
  (local.set $set (call $trending (i32.const 5)))
  (call $put (local.get $set) (i32.const 640) (i32.const 8) (i32.const 800) (i32.const 4) (i32.const 700))
  (call $must-not)
  (call $put (local.get $set) (i32.const 640) (i32.const 8) (i32.const 0) (i32.const 0) (i32.const 700))
  (call $must-not)
  (call $put (local.get $set) (i32.const 640) (i32.const 8) (i32.const 65536) (i32.const 200000) (i32.const 700))
  (call $must-not)
  (call $page (local.get $set)))
