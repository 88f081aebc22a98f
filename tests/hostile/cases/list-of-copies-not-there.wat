;; A shelf of five slots with a thousand million copies.
;; expect: fault strategy_trap: out of bounds
(func $compose (result i32)
  (i32.store (i32.const 220) (i32.const 2000)) (i32.store (i32.const 224) (i32.const 1000000000))
  (call $page (call $trending (i32.const 5))))
