;; Refuses, and says nothing.
;; expect: fault strategy_reject
(func $compose (result i32) (i32.store8 (i32.const 128) (i32.const 1)) (i32.const 128))
