;; Refuses with half a megabyte of words, which are cut.
;; expect: fault strategy_reject: xxxxxxxx
;; pages: 20
(func $compose (result i32)
  (memory.fill (i32.const 65536) (i32.const 120) (i32.const 500000))
  (i32.store8 (i32.const 128) (i32.const 1))
  (i32.store (i32.const 132) (i32.const 65536)) (i32.store (i32.const 136) (i32.const 500000)) (i32.const 128))
