;; Wants a component.
;; expect: refused forbidden_import: helper
;; whole: component
(component (import "helper" (component)))
