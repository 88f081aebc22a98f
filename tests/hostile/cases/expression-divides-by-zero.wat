;; A formula that divides zero by zero, the largest number by the smallest, and orders by it.
;; expect: page 5
(data (i32.const 2000) "0.0 / (item.price - item.price) + exp(item.price * 1000.0) % 0.0")
(func $compose (result i32) (local $set i32)
  (local.set $set (call $trending (i32.const 5)))
  (call $compute (local.get $set) (i32.const 640) (i32.const 8) (i32.const 2000) (i32.const 64) (i32.const 700))
  (call $must)
  (call $order-by (local.get $set) (i32.const 640) (i32.const 8) (i32.const 700))
  (call $must)
  (call $page (local.get $set)))
