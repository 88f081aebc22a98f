;; A page of as many shelves as a number can say.
;; expect: fault strategy_trap: out of bounds
(func $compose (result i32)
  (i32.store (i32.const 132) (i32.const 200)) (i32.store (i32.const 136) (i32.const -1)) (i32.const 128))
