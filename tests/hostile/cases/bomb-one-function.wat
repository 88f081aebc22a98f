;; One function of several hundred thousand bytes.
;; expect: refused needs_too_much: bytes of one function
;; whole: component
(component (core module
(func $large (param i64) (result i64) (local.get 0)
;; repeat 60000: (i64.add (i64.mul (i64.const #) (local.get 0)))
  )
))
