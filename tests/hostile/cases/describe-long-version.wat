;; Says its version is a number of sixty thousand digits.
;; expect: refused bad_description: version
;; own: describe
(func (export "describe") (result i32)
  (memory.fill (i32.const 5000) (i32.const 49) (i32.const 60000))
  (i32.store (i32.const 328) (i32.const 5000)) (i32.store (i32.const 332) (i32.const 60000)) (i32.const 320))
