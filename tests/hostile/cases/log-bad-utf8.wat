;; Logs bytes that are no text.
;; expect: fault strategy_trap: utf-8
(data (i32.const 2000) "\ff\fe")
(func $compose (result i32) (call $write (i32.const 2000) (i32.const 2)) (i32.const 128))
