;; Says its version is a word.
;; expect: refused bad_description: version
;; own: describe
(func (export "describe") (result i32)
  (i32.store (i32.const 328) (i32.const 256)) (i32.store (i32.const 332) (i32.const 4)) (i32.const 320))
