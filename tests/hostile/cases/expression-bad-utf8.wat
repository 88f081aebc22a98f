;; A filter of bytes that are no text.
;; expect: fault strategy_trap: utf-8
(data (i32.const 2000) "true \ff")
(func $compose (result i32) (local $set i32)
  (local.set $set (call $trending (i32.const 5)))
  (call $keep (local.get $set) (i32.const 2000) (i32.const 6) (i32.const 700))
  (call $page (local.get $set)))
