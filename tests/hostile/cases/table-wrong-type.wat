;; Calls a function as if it had another type.
;; expect: fault strategy_trap: indirect call type mismatch
(type $other (func (param i64 i64) (result i32)))
(table 1 funcref)
(func $plain)
(elem (i32.const 0) $plain)
(func $compose (result i32) (call_indirect (type $other) (i64.const 1) (i64.const 2) (i32.const 0)))
