;; Copies from a data segment that it dropped.
;; expect: fault strategy_trap: out of bounds
(data $some "some")
(func $compose (result i32)
  (data.drop $some)
  (memory.init $some (i32.const 2000) (i32.const 0) (i32.const 4))
  (i32.const 128))
