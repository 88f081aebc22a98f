;; Its start function calls the host, before there is a request to answer.
;; expect: page 0
(func $start (drop (call $orders)) (drop (call $known)))
(start $start)
