;; The allocator calls the host, which is waiting for it.
;; expect: fault strategy_trap: cannot leave component instance
;; own: realloc
(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (drop (call $orders)) (i32.const 4096))
