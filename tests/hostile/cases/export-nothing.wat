;; An empty component.
;; expect: refused wrong_world: describe
;; whole: component
(component)
