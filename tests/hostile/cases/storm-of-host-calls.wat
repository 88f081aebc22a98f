;; Calls the host without end.
;; expect: fault host_call_limit: more than 128 times
(func $compose (result i32) (loop $l (drop (call $orders)) (br $l)) unreachable)
