;; Its schema has half a megabyte.
;; expect: refused bad_description: parameters_schema
;; own: describe
;; pages: 20
(func (export "describe") (result i32)
  (memory.fill (i32.const 65536) (i32.const 32) (i32.const 500000))
  (i32.store8 (i32.const 65536) (i32.const 123)) (i32.store8 (i32.const 565535) (i32.const 125))
  (i32.store (i32.const 344) (i32.const 65536)) (i32.store (i32.const 348) (i32.const 500000)) (i32.const 320))
