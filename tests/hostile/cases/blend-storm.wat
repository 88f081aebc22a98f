;; Blends one source ten thousand times at once.
;; expect: page 100
;; pages: 8
(func $compose (result i32) (local $set i32)
  (i32.store (i32.const 2000) (i32.const 640)) (i32.store (i32.const 2004) (i32.const 8))
  (call $tile (i32.const 65536) (i32.const 2000) (i32.const 12) (i32.const 10000))
  (local.set $set (call $trending (i32.const 100)))
  (call $blend (local.get $set) (i32.const 65536) (i32.const 10000) (i32.const 700))
  (call $must-not)
  (call $page (local.get $set)))
