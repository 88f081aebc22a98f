;; Says its name is a path.
;; expect: refused bad_description: name
;; own: describe
(data (i32.const 2000) "../../etc/passwd")
(func (export "describe") (result i32)
  (i32.store (i32.const 320) (i32.const 2000)) (i32.store (i32.const 324) (i32.const 16)) (i32.const 320))
