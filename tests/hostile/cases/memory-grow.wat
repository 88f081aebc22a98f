;; Grows its memory bit by bit, without end.
;; expect: fault memory_limit
(func $compose (result i32) (loop $l (drop (memory.grow (i32.const 8))) (br $l)) unreachable)
