;; Asks for as many candidates as a number can say.
;; expect: page 0
(func $compose (result i32)
  (i32.store (i32.const 620) (i32.const -1))
  (call $retrieve (i32.const 600) (i32.const 1) (i32.const 700))
  (call $must-not)
  (i32.const 128))
