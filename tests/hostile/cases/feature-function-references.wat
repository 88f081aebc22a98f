;; Calls through typed references.
;; expect: refused invalid_component
;; whole: component
(component (core module (type $f (func)) (func (param (ref $f)) (call_ref $f (local.get 0)))))
