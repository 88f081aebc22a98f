;; Neither needs the history nor needs it not.
;; expect: page 0
;; own: describe
(func (export "describe") (result i32) (i32.store8 (i32.const 400) (i32.const 99)) (i32.const 320))
