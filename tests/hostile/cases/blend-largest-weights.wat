;; Blends with the largest weights there are: the sum is infinite, and the page a page.
;; expect: page 5
(func $compose (result i32) (local $set i32)
  (local.set $set (call $trending (i32.const 5)))
  (i32.store (i32.const 2000) (i32.const 640)) (i32.store (i32.const 2004) (i32.const 8))
  (f32.store (i32.const 2008) (f32.const 0x1.fffffep+127))
  (memory.copy (i32.const 2012) (i32.const 2000) (i32.const 12))
  (call $blend (local.get $set) (i32.const 2000) (i32.const 2) (i32.const 700))
  (call $page (local.get $set)))
