;; Caps every brand at nothing.
;; expect: page 0
(data (i32.const 2000) "item.brand")
(func $compose (result i32) (local $set i32)
  (local.set $set (call $trending (i32.const 50)))
  (call $cap (local.get $set) (i32.const 2000) (i32.const 10) (i32.const 0) (i32.const 0) (i32.const 700))
  (call $must)
  (call $page (local.get $set)))
