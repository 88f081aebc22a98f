;; Writes to every page it may have, and gives its page all the same: nothing of it stays.
;; expect: page 5
(func $compose (result i32)
  (drop (memory.grow (i32.const 255)))
  (memory.fill (i32.const 65536) (i32.const 7) (i32.const 0xff0000))
  (call $page (call $trending (i32.const 5))))
