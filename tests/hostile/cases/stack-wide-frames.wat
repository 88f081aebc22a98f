;; Calls itself with four hundred live values a frame.
;; expect: fault strategy_trap: call stack exhausted
(func $wide (param $n i64) (result i64)
  (local $sum i64)
  (local.set $sum (call $wide (i64.add (local.get $n) (i64.const 1))))
;; repeat 400: (i64.mul (local.get $n) (i64.const #))
  (local.set $n (call $wide (local.get $sum)))
;; repeat 399: (i64.add)
  )
(func $compose (result i32) (drop (call $wide (i64.const 1))) (i32.const 128))
