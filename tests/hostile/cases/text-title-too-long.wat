;; A title of three thousand bytes.
;; expect: fault output_limit: bytes of a shelf's title: 3000, at most 2000
(func $compose (result i32)
  (i32.store (i32.const 208) (i32.const 4096)) (i32.store (i32.const 212) (i32.const 3000))
  (call $page (call $trending (i32.const 5))))
