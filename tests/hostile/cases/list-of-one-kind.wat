;; Asks for what was done in one way, named a million times.
;; expect: page 5
;; pages: 20
(func $compose (result i32) (local $set i32) (local $n i32)
  (memory.fill (i32.const 65536) (i32.const 7) (i32.const 1000000))
  (local.set $set (call $trending (i32.const 5)))
  (loop $l
    (call $recent (i32.const 65536) (i32.const 1000000) (i32.const -1) (i32.const 800))
    (drop (call $without-seen (local.get $set) (i32.const 65536) (i32.const 1000000)))
    (br_if $l (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 20))))
  (call $page (local.get $set)))
