;; Loops without end, and has all the fuel there is: the clock stops it.
;; expect: fault strategy_timeout
;; wall: 10
(func $compose (result i32) (loop $l (br $l)) unreachable)
