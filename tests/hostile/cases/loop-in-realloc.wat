;; The allocator never answers: the request cannot even be passed in.
;; expect: fault out_of_fuel
;; own: realloc
(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (loop $l (br $l)) unreachable)
