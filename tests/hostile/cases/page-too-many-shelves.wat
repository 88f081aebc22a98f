;; Fifty-one shelves.
;; expect: fault output_limit: shelves of the page: 51, at most 50
(func $compose (result i32) (local $at i32)
  (local.set $at (i32.const 16384))
  (loop $l
    (i32.store offset=16 (local.get $at) (call $trending (i32.const 1)))
    (local.set $at (i32.add (local.get $at) (i32.const 28)))
    (br_if $l (i32.lt_u (local.get $at) (i32.const 17812))))
  (i32.store (i32.const 132) (i32.const 16384))
  (i32.store (i32.const 136) (i32.const 51))
  (i32.const 128))
