;; Asks for eight thousand sources of nothing at once.
;; expect: page 0
;; pages: 8
(func $compose (result i32)
  (call $tile (i32.const 65536) (i32.const 600) (i32.const 40) (i32.const 8000))
  (call $retrieve (i32.const 65536) (i32.const 8000) (i32.const 700))
  (call $must-not)
  (i32.const 128))
