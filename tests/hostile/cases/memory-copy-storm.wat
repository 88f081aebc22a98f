;; Moves 16 MiB one byte on, again and again.
;; expect: fault strategy_timeout
;; wall: 20
(func $compose (result i32)
  (drop (memory.grow (i32.const 255)))
  (loop $l (memory.copy (i32.const 1) (i32.const 0) (i32.const 0xffffff)) (br $l)) unreachable)
