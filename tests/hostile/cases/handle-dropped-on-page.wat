;; Puts a set on the page that was dropped.
;; expect: fault strategy_trap: unknown handle index
(func $compose (result i32) (local $set i32)
  (local.set $set (call $trending (i32.const 5)))
  (call $drop (local.get $set))
  (call $page (local.get $set)))
