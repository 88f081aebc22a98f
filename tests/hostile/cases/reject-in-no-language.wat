;; Refuses with bytes that are no text.
;; expect: fault strategy_trap: utf-8
(func $compose (result i32)
  (i32.store8 (i32.const 128) (i32.const 1)) (i32.store (i32.const 2000) (i32.const 0xfffefdfc))
  (i32.store (i32.const 132) (i32.const 2000)) (i32.store (i32.const 136) (i32.const 4)) (i32.const 128))
