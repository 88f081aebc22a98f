;; Sums itself up in two thousand bytes.
;; expect: refused bad_description: summary
;; own: describe
(func (export "describe") (result i32)
  (i32.store (i32.const 336) (i32.const 2048)) (i32.store (i32.const 340) (i32.const 2000)) (i32.const 320))
