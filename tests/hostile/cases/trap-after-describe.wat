;; It says what it is, but cleaning up after it traps.
;; expect: refused describe_failed: unreachable
(func (export "cabi_post_describe") (param i32) unreachable)
