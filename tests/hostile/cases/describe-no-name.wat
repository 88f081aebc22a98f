;; Says it has no name.
;; expect: refused bad_description: name
;; own: describe
(func (export "describe") (result i32) (i32.store (i32.const 324) (i32.const 0)) (i32.const 320))
