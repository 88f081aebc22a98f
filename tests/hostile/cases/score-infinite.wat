;; Scores of plus and minus infinity, minus zero and no number: sorted, and nothing more.
;; expect: page 5
(data (i32.const 2000) "score")
(data (i32.const 2100) "\00\00\c0\7f\00\00\80\ff\00\00\80\7f\00\00\00\80\00\00\00\00")
(func $compose (result i32) (local $set i32)
  (local.set $set (call $trending (i32.const 5)))
  (call $put (local.get $set) (i32.const 2000) (i32.const 5) (i32.const 2100) (i32.const 5) (i32.const 700))
  (call $must)
  (call $order-by (local.get $set) (i32.const 2000) (i32.const 5) (i32.const 700))
  (call $must)
  (call $spread (local.get $set) (i32.const 2200) (i32.const 7) (f32.const 0.5) (i32.const 5) (i32.const 700))
  (call $must)
  (call $page (local.get $set)))
(data (i32.const 2200) "vectors")
