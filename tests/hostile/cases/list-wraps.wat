;; The list of shelves begins at the end of all addresses, and goes round.
;; expect: fault strategy_trap: out of bounds
(func $compose (result i32)
  (i32.store (i32.const 132) (i32.const 0xfffffff0)) (i32.store (i32.const 136) (i32.const 16)) (i32.const 128))
