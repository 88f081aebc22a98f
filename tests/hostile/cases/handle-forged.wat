;; A page with a set that was never made.
;; expect: fault strategy_trap: unknown handle index 77
(func $compose (result i32) (call $page (i32.const 77)))
