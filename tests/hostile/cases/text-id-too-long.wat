;; A shelf's id of three thousand bytes.
;; expect: fault output_limit: bytes of a shelf's id: 3000, at most 2000
(func $compose (result i32) (local $page i32)
  (local.set $page (call $page (call $trending (i32.const 5))))
  (i32.store (i32.const 200) (i32.const 4096)) (i32.store (i32.const 204) (i32.const 3000))
  (local.get $page))
