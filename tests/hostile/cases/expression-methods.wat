;; A filter that calls a method of the result of a method, two thousand times.
;; expect: page 5
(data (i32.const 2000) ".a()")
(func $compose (result i32) (local $set i32)
  (local.set $set (call $trending (i32.const 5)))
  (i32.store8 (i32.const 4095) (i32.const 97))
  (call $tile (i32.const 4096) (i32.const 2000) (i32.const 4) (i32.const 2000))
  (call $keep (local.get $set) (i32.const 4095) (i32.const 8001) (i32.const 700))
  (call $must-not)
  (call $page (local.get $set)))
