;; A list whose length times the size of a shelf is a small number again.
;; expect: fault strategy_trap: out of bounds
(func $compose (result i32)
  (i32.store (i32.const 132) (i32.const 200)) (i32.store (i32.const 136) (i32.const 0x24924925)) (i32.const 128))
