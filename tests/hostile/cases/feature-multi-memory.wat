;; Two memories.
;; expect: refused invalid_component: multi
;; whole: component
(component (core module (memory 1) (memory 1)))
