;; Throws.
;; expect: refused invalid_component: exceptions
;; whole: component
(component (core module (tag $t) (func (throw $t))))
