;; Half of the page stands beyond the memory.
;; expect: fault strategy_trap: out of bounds
(func $compose (result i32) (i32.const 65532))
