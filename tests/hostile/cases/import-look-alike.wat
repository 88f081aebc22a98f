;; Wants an interface whose name looks like ours.
;; expect: refused forbidden_import: qianmian:strategy/logs@1.0.0
;; whole: component
(component (import "qianmian:strategy/logs@1.0.0" (instance (export "write" (func (param "line" string))))))
