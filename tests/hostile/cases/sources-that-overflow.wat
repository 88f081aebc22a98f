;; Asks thirty-two times for as many candidates as a number can say: together nothing, in 32 bits.
;; expect: page 0
(func $compose (result i32)
  (i32.store (i32.const 620) (i32.const 0x08000000))
  (call $tile (i32.const 4096) (i32.const 600) (i32.const 40) (i32.const 32))
  (call $retrieve (i32.const 4096) (i32.const 32) (i32.const 700))
  (call $must-not)
  (i32.const 128))
