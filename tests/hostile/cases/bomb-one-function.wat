;; One function of a megabyte.
;; expect: refused needs_too_much: bytes of one function
(func $large (param i64) (result i64) (local.get 0)
;; repeat 130000: (i64.add (i64.mul (i64.const #) (local.get 0)))
  )
