;; Reads far beyond its memory.
;; expect: fault strategy_trap: out of bounds
(func $compose (result i32) (i32.load (i32.const 99999999)))
