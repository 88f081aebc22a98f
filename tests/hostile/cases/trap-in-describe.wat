;; It traps when it is asked what it is.
;; expect: refused describe_failed: unreachable
;; own: describe
(func (export "describe") (result i32) unreachable)
