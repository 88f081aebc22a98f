;; A title of two megabytes.
;; expect: fault transfer_limit
;; pages: 40
(func $compose (result i32)
  (i32.store (i32.const 208) (i32.const 4096)) (i32.store (i32.const 212) (i32.const 2000000))
  (call $page (call $trending (i32.const 5))))
