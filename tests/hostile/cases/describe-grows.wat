;; Takes all memory while it says what it is.
;; expect: refused describe_failed: bytes of memory
;; own: describe
(func (export "describe") (result i32) (loop $l (drop (memory.grow (i32.const 16))) (br $l)) unreachable)
