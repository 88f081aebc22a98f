;; Its summary is no text.
;; expect: refused describe_failed: utf-8
;; own: describe
(data (i32.const 2000) "\ed\a0\80")
(func (export "describe") (result i32)
  (i32.store (i32.const 336) (i32.const 2000)) (i32.store (i32.const 340) (i32.const 3)) (i32.const 320))
