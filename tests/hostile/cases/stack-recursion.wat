;; Calls itself without end.
;; expect: fault strategy_trap: call stack exhausted
(func $deep (param i64 i64) (call $deep (local.get 0) (local.get 1)) (call $deep (local.get 1) (local.get 0)))
(func $compose (result i32) (call $deep (i64.const 1) (i64.const 2)) (i32.const 128))
