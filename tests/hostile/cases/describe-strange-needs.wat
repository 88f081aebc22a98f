;; Needs columns that begin and end like this.
;; expect: refused bad_description: needs.columns
;; own: describe
(data (i32.const 2000) "\d8\07\00\00\03\00\00\00a*b")
(func (export "describe") (result i32)
  (i32.store (i32.const 376) (i32.const 2000)) (i32.store (i32.const 380) (i32.const 1)) (i32.const 320))
