;; Uses the first set there would be, without making one.
;; expect: fault strategy_trap: unknown handle index 1
(func $compose (result i32) (call $take (i32.const 1) (i32.const 3)) (i32.const 128))
