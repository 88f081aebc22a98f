;; A title of bytes that are no text.
;; expect: fault strategy_trap: utf-8
(data (i32.const 2000) "\c3\28 \ff")
(func $compose (result i32)
  (i32.store (i32.const 208) (i32.const 2000)) (i32.store (i32.const 212) (i32.const 4))
  (call $page (call $trending (i32.const 5))))
