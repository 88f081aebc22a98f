;; Splits a set with many columns again and again: what stays behind must not be carried along.
;; expect: fault set_limit
;; pages: 2
(func $compose (result i32) (local $set i32) (local $n i32)
  (local.set $set (call $trending (i32.const 100)))
  (loop $columns
    (i32.store8 (i32.const 2000) (i32.add (i32.const 65) (i32.rem_u (local.get $n) (i32.const 26))))
    (i32.store8 (i32.const 2001) (i32.add (i32.const 65) (i32.div_u (local.get $n) (i32.const 26))))
    (call $put (local.get $set) (i32.const 2000) (i32.const 2) (i32.const 65536) (i32.const 100) (i32.const 700))
    (call $must)
    (br_if $columns (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 60))))
  (loop $splits (drop (call $split (local.get $set) (i32.const 1))) (br $splits))
  unreachable)
