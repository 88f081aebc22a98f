;; Its start function never ends.
;; expect: refused describe_failed: fuel
(func $start (loop $l (br $l)))
(start $start)
