;; Wants a function without an interface.
;; expect: refused forbidden_import: network
;; whole: component
(component (import "network" (func)))
