;; Wants a type of thing of the host's.
;; expect: refused forbidden_import: candidates
;; whole: component
(component (import "candidates" (type (sub resource))))
