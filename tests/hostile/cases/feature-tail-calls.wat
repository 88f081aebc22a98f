;; Calls that return for it, without end.
;; expect: refused invalid_component: tail calls
;; whole: component
(component (core module (func $f (return_call $f))))
