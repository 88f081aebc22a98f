;; Makes and drops sets without end: they are counted, not only those that are there.
;; expect: fault set_limit
(func $compose (result i32) (loop $l (call $drop (call $trending (i32.const 1))) (br $l)) unreachable)
