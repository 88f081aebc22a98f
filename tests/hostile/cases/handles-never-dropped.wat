;; Makes sixty sets, and drops none.
;; expect: page 0
(func $compose (result i32) (local $n i32)
  (loop $l
    (drop (call $trending (i32.const 100)))
    (br_if $l (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 60))))
  (i32.const 128))
