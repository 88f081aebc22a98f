;; Makes up twenty filters of six thousand bytes, a new one each time: they must not all be kept.
;; expect: page 5
(data (i32.const 2000) "true&&")
(data (i32.const 2010) "1.0==1.0")
(func $compose (result i32) (local $set i32) (local $n i32)
  (local.set $set (call $trending (i32.const 5)))
  (call $tile (i32.const 4096) (i32.const 2000) (i32.const 6) (i32.const 1000))
  (memory.copy (i32.const 10096) (i32.const 2010) (i32.const 8))
  (loop $l
    (i32.store8 (i32.const 10098) (i32.add (i32.const 48) (i32.rem_u (local.get $n) (i32.const 10))))
    (i32.store8 (i32.const 10103) (i32.add (i32.const 48) (i32.div_u (local.get $n) (i32.const 10))))
    (call $keep (local.get $set) (i32.const 4096) (i32.const 6008) (i32.const 700))
    (br_if $l (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 20))))
  (call $page (call $trending (i32.const 5))))
