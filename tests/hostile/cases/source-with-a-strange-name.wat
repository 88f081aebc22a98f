;; A source whose name is a path with a zero in it.
;; expect: page 0
(data (i32.const 2000) "../../etc\00x")
(func $compose (result i32)
  (i32.store (i32.const 600) (i32.const 2000)) (i32.store (i32.const 604) (i32.const 11))
  (call $retrieve (i32.const 600) (i32.const 1) (i32.const 700))
  (call $must-not)
  (i32.const 128))
