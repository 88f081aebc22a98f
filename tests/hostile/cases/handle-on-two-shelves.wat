;; Puts one set on two shelves.
;; expect: fault strategy_trap: unknown handle index
(func $compose (result i32) (local $set i32)
  (local.set $set (call $trending (i32.const 5)))
  (drop (call $page (local.get $set)))
  (memory.copy (i32.const 228) (i32.const 200) (i32.const 28))
  (i32.store (i32.const 136) (i32.const 2))
  (i32.const 128))
