;; The allocator never answers, and has all the fuel there is.
;; expect: fault strategy_timeout
;; own: realloc
;; wall: 10
(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (loop $l (br $l)) unreachable)
