;; Needs ten thousand models.
;; expect: refused bad_description: needs.models
;; own: describe
;; pages: 3
(data (i32.const 2000) "\00\01\00\00\04\00\00\00")
(func (export "describe") (result i32)
  (call $tile (i32.const 65536) (i32.const 2000) (i32.const 8) (i32.const 10000))
  (i32.store (i32.const 368) (i32.const 65536)) (i32.store (i32.const 372) (i32.const 10000)) (i32.const 320))
