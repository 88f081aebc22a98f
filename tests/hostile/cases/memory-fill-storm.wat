;; Fills 16 MiB again and again: each one is a single instruction.
;; expect: fault strategy_timeout
;; wall: 20
(func $compose (result i32)
  (drop (memory.grow (i32.const 255)))
  (loop $l (memory.fill (i32.const 0) (i32.const 1) (i32.const 0x1000000)) (br $l)) unreachable)
