;; Its schema has ten megabytes.
;; expect: refused describe_failed: copied more than
;; own: describe
;; pages: 200
(func (export "describe") (result i32)
  (memory.fill (i32.const 65536) (i32.const 32) (i32.const 10000000))
  (i32.store (i32.const 344) (i32.const 65536)) (i32.store (i32.const 348) (i32.const 10000000)) (i32.const 320))
