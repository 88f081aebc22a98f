;; The allocator has the request written over the page it is to give.
;; expect: fault strategy_trap: invalid expected discriminant
;; own: realloc
(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 128))
