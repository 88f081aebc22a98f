;; Calls the host without end while it says what it is.
;; expect: refused describe_failed: called the host more than
;; own: describe
(func (export "describe") (result i32) (loop $l (drop (call $orders)) (br $l)) unreachable)
