;; An empty component.
;; expect: refused wrong_world: compose
;; whole: component
(component)
