;; Makes an integer of infinity.
;; expect: fault strategy_trap: integer overflow
(func $compose (result i32) (i32.trunc_f64_u (f64.const inf)))
