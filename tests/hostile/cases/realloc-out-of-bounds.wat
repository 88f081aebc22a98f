;; The allocator points beyond the memory.
;; expect: fault strategy_trap: realloc return: beyond end of memory
;; own: realloc
(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0x7fff0000))
