;; Its description stands beyond the memory.
;; expect: refused describe_failed: out of bounds
;; own: describe
(func (export "describe") (result i32) (i32.const 0x10000000))
