;; The page stands at an odd address.
;; expect: fault strategy_trap: not aligned
(func $compose (result i32) (i32.const 129))
