;; A filter with a list of two thousand texts.
;; expect: page 5
(data (i32.const 2000) "!(item.brand in [")
(data (i32.const 2020) "'x',")
(data (i32.const 2030) "'x'])")
(func $compose (result i32) (local $set i32)
  (local.set $set (call $trending (i32.const 5)))
  (memory.copy (i32.const 4096) (i32.const 2000) (i32.const 17))
  (call $tile (i32.const 4113) (i32.const 2020) (i32.const 4) (i32.const 2000))
  (memory.copy (i32.const 12113) (i32.const 2030) (i32.const 5))
  (call $keep (local.get $set) (i32.const 4096) (i32.const 8022) (i32.const 700))
  (call $must)
  (call $page (local.get $set)))
