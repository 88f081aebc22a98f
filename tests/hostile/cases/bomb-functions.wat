;; More functions than any strategy has.
;; expect: refused needs_too_much: the component needs functions: 20001
;; whole: component
(component (core module
;; repeat 60000: (func)
))
