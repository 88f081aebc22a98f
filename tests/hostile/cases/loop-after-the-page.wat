;; A page is there, but cleaning up after it never ends.
;; expect: fault out_of_fuel
(func (export "cabi_post_compose") (param i32) (loop $l (br $l)))
(func $compose (result i32) (call $page (call $trending (i32.const 5))))
