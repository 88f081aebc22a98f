;; A function with two thousand variables.
;; expect: refused needs_too_much: variables of one function
;; whole: component
(component (core module
(func (local
;; repeat 2000: i64
  ))
))
