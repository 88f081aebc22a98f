;; Logs what stands beyond its memory.
;; expect: fault strategy_trap: out of bounds
(func $compose (result i32) (call $write (i32.const -8) (i32.const 16)) (i32.const 128))
