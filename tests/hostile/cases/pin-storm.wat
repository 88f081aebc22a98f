;; Pins thirty thousand ids twenty times, none of which is in the set but one.
;; expect: page 100
;; pages: 8
(data (i32.const 2000) "\d8\07\00\00\04\00\00\00i007")
(func $compose (result i32) (local $set i32) (local $n i32)
  (call $tile (i32.const 65536) (i32.const 2000) (i32.const 8) (i32.const 30000))
  (local.set $set (call $trending (i32.const 100)))
  (loop $l
    (call $pin (local.get $set) (i32.const 65536) (i32.const 30000))
    (br_if $l (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 20))))
  (call $page (local.get $set)))
