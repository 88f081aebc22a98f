;; All of the memory is one list of shelves; handles and texts are whatever stands there.
;; expect: fault strategy_trap
(func $compose (result i32)
  (memory.fill (i32.const 4096) (i32.const 1) (i32.const 60000))
  (i32.store (i32.const 132) (i32.const 4096)) (i32.store (i32.const 136) (i32.const 2000)) (i32.const 128))
