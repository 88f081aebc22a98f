;; It never says what it is.
;; expect: refused describe_failed: fuel
;; own: describe
(func (export "describe") (result i32) (loop $l (br $l)) unreachable)
