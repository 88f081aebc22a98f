;; Spreads a window of nothing: nothing is kept.
;; expect: page 0
(data (i32.const 2000) "vectors")
(func $compose (result i32) (local $set i32)
  (local.set $set (call $trending (i32.const 5)))
  (call $spread (local.get $set) (i32.const 2000) (i32.const 7) (f32.const -0) (i32.const 0) (i32.const 700))
  (call $must)
  (call $page (local.get $set)))
