;; Memory with 64-bit addresses.
;; expect: refused invalid_component: memory64
;; whole: component
(component (core module (memory i64 1)))
