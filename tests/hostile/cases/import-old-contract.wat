;; Wants the contract of another version.
;; expect: refused forbidden_import: qianmian:strategy/log@0.2.0
;; whole: component
(component (import "qianmian:strategy/log@0.2.0" (instance)))
