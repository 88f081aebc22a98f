;; Reads eight bytes where one is left.
;; expect: fault strategy_trap: out of bounds
(func $compose (result i32) (i32.wrap_i64 (i64.load align=1 (i32.const 65535))))
