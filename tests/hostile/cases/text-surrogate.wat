;; A title with half of a pair of surrogates.
;; expect: fault strategy_trap: utf-8
(data (i32.const 2000) "a\ed\a0\80b")
(func $compose (result i32)
  (i32.store (i32.const 208) (i32.const 2000)) (i32.store (i32.const 212) (i32.const 5))
  (call $page (call $trending (i32.const 5))))
