;; Logs a hundred lines of half a megabyte; what is beyond the budget is cut.
;; expect: page 0
;; pages: 20
(func $compose (result i32) (local $n i32)
  (memory.fill (i32.const 65536) (i32.const 120) (i32.const 500000))
  (loop $l
    (call $write (i32.const 65536) (i32.const 500000))
    (br_if $l (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 100))))
  (i32.const 128))
