;; Six thousand types of functions: each costs machine code.
;; expect: refused needs_too_much: types
;; whole: component
(component (core module
;; repeat 6000: (type (func (param i32)))
))
