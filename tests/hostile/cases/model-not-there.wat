;; Scores with a model whose name is sixty thousand bytes long.
;; expect: page 5
(func $compose (result i32) (local $set i32)
  (local.set $set (call $trending (i32.const 5)))
  (memory.fill (i32.const 5000) (i32.const 97) (i32.const 60000))
  (call $score (local.get $set) (i32.const 5000) (i32.const 60000) (i32.const 700))
  (call $must-not)
  (call $page (local.get $set)))
