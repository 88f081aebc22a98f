;; Has instances where functions are expected.
;; expect: refused wrong_world: compose
;; whole: component
(component (instance $i) (export "describe" (instance $i)) (export "compose" (instance $i)))
