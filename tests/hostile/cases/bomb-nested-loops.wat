;; Two hundred loops, one within the other.
;; expect: refused needs_too_much: loops within loops
;; whole: component
(component (core module
(func
;; repeat 200: (loop
;; repeat 200: )
  )
))
