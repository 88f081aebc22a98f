;; Neither a page nor a refusal.
;; expect: fault strategy_trap: invalid expected discriminant
(func $compose (result i32) (i32.store8 (i32.const 128) (i32.const 2)) (i32.const 128))
