;; A function that works on two thousand values at once.
;; expect: refused needs_too_much: values at once
;; whole: component
(component (core module
(func (param i64) (result i64)
;; repeat 2000: (i64.mul (local.get 0) (i64.const #))
;; repeat 1999: (i64.add)
  )
))
