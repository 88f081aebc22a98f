;; A list of needs that is as long as a number can say.
;; expect: refused describe_failed: out of bounds
;; own: describe
(func (export "describe") (result i32) (i32.store (i32.const 356) (i32.const -1)) (i32.const 320))
