;; Stacks of its own.
;; expect: refused invalid_component
;; whole: component
(component (core module (type $f (func)) (type $k (cont $f)) (func (param (ref $k)) (resume $k (local.get 0)))))
