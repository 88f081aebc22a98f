;; Its start function traps.
;; expect: refused describe_failed: unreachable
(func $start unreachable)
(start $start)
