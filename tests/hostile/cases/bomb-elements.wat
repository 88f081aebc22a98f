;; Two thousand segments of elements.
;; expect: refused needs_too_much: segments of elements
;; whole: component
(component (core module
(table 1 funcref)
(func $f)
;; repeat 2000: (elem func $f)
))
