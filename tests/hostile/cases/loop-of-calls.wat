;; Calls a short function for ever.
;; expect: fault out_of_fuel
(func $short (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
(func $compose (result i32) (local $n i32)
  (loop $l (local.set $n (call $short (local.get $n))) (br $l)) unreachable)
