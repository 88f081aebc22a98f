;; Grows a table by four thousand million: each entry takes fuel.
;; expect: fault out_of_fuel
(table $t 1 funcref)
(func $compose (result i32)
  (if (i32.lt_s (table.grow $t (ref.null func) (i32.const -1)) (i32.const 0)) (then unreachable))
  (i32.const 128))
