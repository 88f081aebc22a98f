;; Calls through a table for ever.
;; expect: fault out_of_fuel
(type $none (func))
(table 1 funcref)
(func $nothing)
(elem (i32.const 0) $nothing)
(func $compose (result i32) (loop $l (call_indirect (type $none) (i32.const 0)) (br $l)) unreachable)
