;; The allocator traps.
;; expect: fault strategy_trap: unreachable
;; own: realloc
(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable)
