;; Spreads with strengths that are no numbers, infinite or out of range: errors.
;; expect: page 5
(data (i32.const 2000) "vectors")
(func $spread-by (param $set i32) (param $strength f32)
  (call $spread (local.get $set) (i32.const 2000) (i32.const 7) (local.get $strength) (i32.const -1) (i32.const 700))
  (call $must-not))
(func $compose (result i32) (local $set i32)
  (local.set $set (call $trending (i32.const 5)))
  (call $spread-by (local.get $set) (f32.const nan))
  (call $spread-by (local.get $set) (f32.const inf))
  (call $spread-by (local.get $set) (f32.const -0.1))
  (call $spread-by (local.get $set) (f32.const 1e38))
  (call $page (local.get $set)))
