;; Reads columns that are not there, of the wrong type, and with a name of sixty thousand bytes.
;; expect: page 5
(data (i32.const 2000) "item.brand")
(data (i32.const 2010) "item.price")
(func $compose (result i32) (local $set i32)
  (local.set $set (call $trending (i32.const 5)))
  (memory.fill (i32.const 5000) (i32.const 97) (i32.const 60000))
  (call $numbers (local.get $set) (i32.const 5000) (i32.const 60000) (i32.const 700)) (call $must-not)
  (call $texts (local.get $set) (i32.const 5000) (i32.const 60000) (i32.const 700)) (call $must-not)
  (call $numbers (local.get $set) (i32.const 2000) (i32.const 10) (i32.const 700)) (call $must-not)
  (call $texts (local.get $set) (i32.const 2010) (i32.const 10) (i32.const 700)) (call $must-not)
  (call $order-by (local.get $set) (i32.const 2000) (i32.const 10) (i32.const 700)) (call $must-not)
  (call $page (local.get $set)))
