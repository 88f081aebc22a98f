;; Ten thousand loops, one after the other.
;; expect: refused needs_too_much: loops of one function
;; whole: component
(component (core module
(func (param i32)
;; repeat 10000: (loop (br_if 0 (local.get 0)))
  )
))
