;; Calls what nobody put there.
;; expect: fault strategy_trap: uninitialized element
(type $none (func))
(table 4 funcref)
(func $compose (result i32) (call_indirect (type $none) (i32.const 3)) (i32.const 128))
