;; Makes an integer of what is no number.
;; expect: fault strategy_trap: invalid conversion to integer
(func $compose (result i32) (i32.trunc_f32_s (f32.const nan)))
