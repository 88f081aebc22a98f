;; Grows its memory to all a memory can have.
;; expect: fault memory_limit
(func $compose (result i32) (drop (memory.grow (i32.const 65535))) (i32.const 128))
