;; A hundred thousand variables of the module.
;; expect: refused invalid_component
;; whole: component
(component (core module
;; repeat 100000: (global (mut i64) (i64.const #))
))
