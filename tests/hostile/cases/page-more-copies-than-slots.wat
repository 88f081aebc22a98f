;; Six copies beside five slots.
;; expect: fault output_limit: copies of a shelf: 6, at most 5
(func $compose (result i32)
  (i32.store (i32.const 220) (i32.const 2000)) (i32.store (i32.const 224) (i32.const 6))
  (call $page (call $trending (i32.const 5))))
