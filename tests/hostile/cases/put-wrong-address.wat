;; Puts numbers that stand at an odd address.
;; expect: fault strategy_trap: not aligned
(func $compose (result i32) (local $set i32)
  (local.set $set (call $trending (i32.const 5)))
  (call $put (local.get $set) (i32.const 640) (i32.const 8) (i32.const 801) (i32.const 5) (i32.const 700))
  (call $page (local.get $set)))
