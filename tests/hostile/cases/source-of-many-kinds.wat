;; A source that names one kind a million times, none of which is found.
;; expect: page 0
;; pages: 20
(func $compose (result i32)
  (memory.fill (i32.const 65536) (i32.const 4) (i32.const 1000000))
  (i32.store (i32.const 624) (i32.const 65536)) (i32.store (i32.const 628) (i32.const 1000000))
  (call $page (call $trending (i32.const 100))))
