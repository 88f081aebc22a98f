;; Calls beyond the table.
;; expect: fault strategy_trap: undefined element
(type $none (func))
(table 4 funcref)
(func $compose (result i32) (call_indirect (type $none) (i32.const -1)) (i32.const 128))
