;; Copies more of a passive data segment than there is.
;; expect: fault strategy_trap: out of bounds
(data $some "some")
(func $compose (result i32) (memory.init $some (i32.const 2000) (i32.const 2) (i32.const 3)) (i32.const 128))
