;; Reads and writes at the largest address with the largest offset.
;; expect: fault strategy_trap: out of bounds
(func $compose (result i32)
  (i64.store offset=0xffffffff align=1 (i32.const -1) (i64.const 7))
  (i32.load offset=0xffffffff align=1 (i32.const -1)))
