;; Two sources of one name.
;; expect: page 0
(func $compose (result i32)
  (call $tile (i32.const 4096) (i32.const 600) (i32.const 40) (i32.const 2))
  (call $retrieve (i32.const 4096) (i32.const 2) (i32.const 700))
  (call $must-not)
  (i32.const 128))
