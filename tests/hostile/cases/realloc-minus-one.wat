;; The allocator points to the last address there can be.
;; expect: fault strategy_trap: realloc return: beyond end of memory
;; own: realloc
(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const -1))
