;; Divides by zero.
;; expect: fault strategy_trap: divide by zero
(func $compose (result i32) (i32.div_u (i32.const 7) (i32.load (i32.const 2000))))
