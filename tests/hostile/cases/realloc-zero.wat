;; The allocator always says zero, and the texts of the request lie one over the other.
;; expect: page 5
;; own: realloc
(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0))
(func $compose (result i32) (call $page (call $trending (i32.const 5))))
