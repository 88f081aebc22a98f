;; Wants a function that the contract's interface has not.
;; expect: refused wrong_world: log@1.0.0
;; whole: component
(component (import "qianmian:strategy/log@1.0.0" (instance (export "read" (func (result string))))))
