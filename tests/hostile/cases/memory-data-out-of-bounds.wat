;; A data segment stands beyond the memory.
;; expect: refused describe_failed: out of bounds
(data (i32.const 65530) "seven bytes")
