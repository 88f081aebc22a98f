;; A copy of three thousand bytes beside a slot.
;; expect: fault output_limit: bytes of a slot's copy: 3000, at most 2000
(func $compose (result i32)
  (i32.store (i32.const 2000) (i32.const 4096)) (i32.store (i32.const 2004) (i32.const 3000))
  (i32.store (i32.const 220) (i32.const 2000)) (i32.store (i32.const 224) (i32.const 1))
  (call $page (call $trending (i32.const 5))))
