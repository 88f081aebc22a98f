;; Blends with weights that are no numbers, or infinite: errors.
;; expect: page 5
(func $blend-with (param $set i32) (param $weight f32)
  (i32.store (i32.const 2000) (i32.const 640)) (i32.store (i32.const 2004) (i32.const 8))
  (f32.store (i32.const 2008) (local.get $weight))
  (call $blend (local.get $set) (i32.const 2000) (i32.const 1) (i32.const 700))
  (call $must-not))
(func $compose (result i32) (local $set i32)
  (local.set $set (call $trending (i32.const 5)))
  (call $blend-with (local.get $set) (f32.const nan))
  (call $blend-with (local.get $set) (f32.const inf))
  (call $blend-with (local.get $set) (f32.const -inf))
  (call $page (local.get $set)))
