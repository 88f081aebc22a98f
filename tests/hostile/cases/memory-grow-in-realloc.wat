;; The allocator takes 15 MiB for each text.
;; expect: fault memory_limit
;; own: realloc
(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
  (i32.mul (memory.grow (i32.const 240)) (i32.const 65536)))
