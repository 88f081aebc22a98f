;; Calls itself through a table without end.
;; expect: fault strategy_trap: call stack exhausted
(type $kind (func (param i32) (result i32)))
(table 1 funcref)
(func $self (type $kind) (i32.add (call_indirect (type $kind) (local.get 0) (i32.const 0)) (i32.const 1)))
(elem (i32.const 0) $self)
(func $compose (result i32) (call $self (i32.const 7)))
