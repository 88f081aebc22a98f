;; An element segment stands beyond the table.
;; expect: refused describe_failed: out of bounds
(table 1 funcref)
(func $plain)
(elem (i32.const 1) $plain)
