;; Descends as deep as it can and calls the host from there: the host must have a stack of its own.
;; expect: fault strategy_trap: call stack exhausted
(func $deep (param i32) (result i32)
  (if (i32.eqz (i32.rem_u (local.get 0) (i32.const 500))) (then (drop (call $orders))))
  (i32.add (call $deep (i32.add (local.get 0) (i32.const 1))) (i32.const 1)))
(func $compose (result i32) (call $deep (i32.const 1)))
