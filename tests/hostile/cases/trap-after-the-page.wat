;; A page is there, but cleaning up after it traps.
;; expect: fault strategy_trap: unreachable
(func (export "cabi_post_compose") (param i32) unreachable)
(func $compose (result i32) (call $page (call $trending (i32.const 5))))
