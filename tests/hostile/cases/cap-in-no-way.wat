;; Caps, and says of what is beyond something that there is not.
;; expect: fault strategy_trap: unexpected discriminant
(data (i32.const 2000) "item.brand")
(func $compose (result i32) (local $set i32)
  (local.set $set (call $trending (i32.const 50)))
  (call $cap (local.get $set) (i32.const 2000) (i32.const 10) (i32.const 1) (i32.const 7) (i32.const 700))
  (call $page (local.get $set)))
