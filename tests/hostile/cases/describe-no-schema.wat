;; Its schema is a word.
;; expect: refused bad_description: parameters_schema
;; own: describe
(func (export "describe") (result i32)
  (i32.store (i32.const 344) (i32.const 256)) (i32.store (i32.const 348) (i32.const 4)) (i32.const 320))
