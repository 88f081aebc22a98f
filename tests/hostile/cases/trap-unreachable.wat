;; Runs into what cannot be reached.
;; expect: fault strategy_trap: unreachable
(func $compose (result i32) unreachable)
