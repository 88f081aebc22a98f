;; Shared memory.
;; expect: refused invalid_component: threads
;; whole: component
(component (core module (memory 1 1 shared)))
