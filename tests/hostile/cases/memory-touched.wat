;; Writes to every page it may have, and gives its page all the same: nothing of it stays.
;; expect: page 5
(func $compose (result i32)
  (local $at i32)
  (drop (memory.grow (i32.const 255)))
  (loop $pages
    (local.set $at (i32.add (local.get $at) (i32.const 4096)))
    (i32.store (local.get $at) (i32.const 7))
    (br_if $pages (i32.lt_u (local.get $at) (i32.const 0xfff000))))
  (call $page (call $trending (i32.const 5))))
