;; The allocator points to where one byte less than asked for is left.
;; expect: fault strategy_trap: realloc return: beyond end of memory
;; own: realloc
(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
  (i32.sub (i32.const 65537) (local.get 3)))
