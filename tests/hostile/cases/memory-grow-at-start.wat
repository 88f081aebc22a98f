;; Its start function takes more memory than there is.
;; expect: refused describe_failed: bytes of memory
(func $start (drop (memory.grow (i32.const 1000))))
(start $start)
