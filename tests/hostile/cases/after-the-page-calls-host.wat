;; Cleaning up after the page, it calls the host with the set that it gave away.
;; expect: fault strategy_trap: cannot leave component instance
(func (export "cabi_post_compose") (param i32) (call $take (i32.load (i32.const 216)) (i32.const 1)))
(func $compose (result i32) (call $page (call $trending (i32.const 5))))
