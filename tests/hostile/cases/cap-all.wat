;; Caps every brand at as many as a number can say.
;; expect: page 50
(data (i32.const 2000) "item.brand")
(func $compose (result i32) (local $set i32)
  (local.set $set (call $trending (i32.const 50)))
  (call $cap (local.get $set) (i32.const 2000) (i32.const 10) (i32.const -1) (i32.const 1) (i32.const 700))
  (call $must)
  (call $page (local.get $set)))
