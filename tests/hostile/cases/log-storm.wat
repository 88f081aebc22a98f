;; Logs a line without end of lines.
;; expect: fault host_call_limit
(func $compose (result i32) (loop $l (call $write (i32.const 256) (i32.const 4)) (br $l)) unreachable)
