;; A source of a sort that there is not.
;; expect: fault strategy_trap: unexpected discriminant
(func $compose (result i32) (i32.store8 (i32.const 608) (i32.const 200)) (call $page (call $trending (i32.const 5))))
