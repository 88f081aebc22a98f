;; A formula that chooses within a choice within a choice.
;; expect: page 5
(data (i32.const 2000) "true?")
(func $compose (result i32) (local $set i32)
  (local.set $set (call $trending (i32.const 5)))
  (call $tile (i32.const 4096) (i32.const 2000) (i32.const 5) (i32.const 1600))
  (call $compute (local.get $set) (i32.const 640) (i32.const 8) (i32.const 4096) (i32.const 8000) (i32.const 700))
  (call $must-not)
  (call $page (local.get $set)))
