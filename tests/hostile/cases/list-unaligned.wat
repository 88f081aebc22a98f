;; The list of shelves stands at an odd address.
;; expect: fault strategy_trap: not aligned
(func $compose (result i32)
  (i32.store (i32.const 132) (i32.const 201)) (i32.store (i32.const 136) (i32.const 1)) (i32.const 128))
