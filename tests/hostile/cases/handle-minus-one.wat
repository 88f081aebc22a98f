;; Asks for the size of set minus one.
;; expect: fault strategy_trap: unknown handle index
(func $compose (result i32) (drop (call $size (i32.const -1))) (i32.const 128))
