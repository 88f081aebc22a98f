;; Loops without end.
;; expect: fault out_of_fuel
(func $compose (result i32) (loop $l (br $l)) unreachable)
