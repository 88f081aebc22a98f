;; Its start function calls itself without end.
;; expect: refused describe_failed: call stack exhausted
(func $start (call $start) (call $start))
(start $start)
