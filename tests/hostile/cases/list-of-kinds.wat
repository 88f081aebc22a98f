;; Asks for what it did in sixty thousand ways, none of which there is.
;; expect: fault strategy_trap: unexpected discriminant
(func $compose (result i32)
  (memory.fill (i32.const 4096) (i32.const 99) (i32.const 60000))
  (call $recent (i32.const 4096) (i32.const 60000) (i32.const 5) (i32.const 800)) (i32.const 128))
