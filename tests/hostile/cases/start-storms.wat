;; Its start function calls the host without end.
;; expect: refused describe_failed: called the host more than
(func $start (loop $l (drop (call $orders)) (br $l)))
(start $start)
