;; Lists a thousand million item ids that are not there.
;; expect: fault strategy_trap: out of bounds
(func $compose (result i32)
  (i32.store8 (i32.const 608) (i32.const 9))
  (i32.store (i32.const 612) (i32.const 65536)) (i32.store (i32.const 616) (i32.const 1000000000))
  (call $page (call $trending (i32.const 100))))
