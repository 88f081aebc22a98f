;; Writes no numbers over the rank that the source gave: the items stay those that were found.
;; expect: page 5
(data (i32.const 2000) "source.trending.rank")
(data (i32.const 2100) "\00\00\c0\7f\00\00\c0\ff\00\00\80\7f\00\00\80\ff\00\00\00\80")
(func $compose (result i32) (local $set i32)
  (local.set $set (call $trending (i32.const 5)))
  (call $put (local.get $set) (i32.const 2000) (i32.const 20) (i32.const 2100) (i32.const 5) (i32.const 700))
  (call $must)
  (call $blend (local.get $set) (i32.const 0) (i32.const 0) (i32.const 700))
  (call $must)
  (call $order-by (local.get $set) (i32.const 2000) (i32.const 20) (i32.const 700))
  (call $must)
  (call $page (local.get $set)))
