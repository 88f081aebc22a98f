;; A page with set zero.
;; expect: fault strategy_trap: unknown handle index 0
(func $compose (result i32) (call $page (i32.const 0)))
