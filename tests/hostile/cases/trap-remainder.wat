;; The remainder of a division by zero.
;; expect: fault strategy_trap: divide by zero
(func $compose (result i32) (i32.wrap_i64 (i64.rem_s (i64.const 7) (i64.load (i32.const 2000)))))
