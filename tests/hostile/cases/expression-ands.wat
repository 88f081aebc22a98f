;; A filter of as many conditions in a row as fit.
;; expect: page 5
(data (i32.const 2000) "true&&")
(func $compose (result i32) (local $set i32)
  (local.set $set (call $trending (i32.const 5)))
  (call $tile (i32.const 4096) (i32.const 2000) (i32.const 6) (i32.const 1364))
  (call $keep (local.get $set) (i32.const 4096) (i32.const 8182) (i32.const 700))
  (call $must-not)
  (call $page (local.get $set)))
