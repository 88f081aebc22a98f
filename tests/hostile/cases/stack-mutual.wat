;; Two functions call each other without end.
;; expect: fault strategy_trap: call stack exhausted
(func $one (param i32) (result i32) (i32.add (call $two (local.get 0)) (i32.const 1)))
(func $two (param i32) (result i32) (i32.mul (call $one (local.get 0)) (i32.const 3)))
(func $compose (result i32) (call $one (i32.const 7)))
