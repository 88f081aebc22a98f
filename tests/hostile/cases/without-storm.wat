;; Takes a quarter of a million rows out, none of which there is.
;; expect: page 100
;; pages: 20
(func $compose (result i32) (local $set i32)
  (memory.fill (i32.const 65536) (i32.const 255) (i32.const 1000000))
  (local.set $set (call $trending (i32.const 100)))
  (drop (call $without (local.get $set) (i32.const 65536) (i32.const 250000)))
  (call $page (local.get $set)))
