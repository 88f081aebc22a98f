;; Wants a function of the contract with another type.
;; expect: refused wrong_world: log@1.0.0
;; whole: component
(component (import "qianmian:strategy/log@1.0.0" (instance (export "write" (func)))))
