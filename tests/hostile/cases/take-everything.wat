;; Takes and splits as many as a number can say, then nothing.
;; expect: page 5
(func $compose (result i32) (local $set i32)
  (local.set $set (call $trending (i32.const 5)))
  (call $take (local.get $set) (i32.const -1))
  (local.set $set (call $split (local.get $set) (i32.const -1)))
  (drop (call $split (local.get $set) (i32.const 0)))
  (call $page (local.get $set)))
