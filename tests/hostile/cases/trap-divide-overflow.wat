;; Divides the least number by minus one.
;; expect: fault strategy_trap: integer overflow
(func $compose (result i32) (i32.div_s (i32.const 0x80000000) (i32.sub (i32.load (i32.const 2000)) (i32.const 1))))
