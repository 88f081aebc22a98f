;; The allocator gives odd addresses for lists of rows.
;; expect: fault strategy_trap: realloc return: result not aligned
;; own: realloc
(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4097))
(func $compose (result i32) (call $rows (call $trending (i32.const 5)) (i32.const 800)) (i32.const 128))
