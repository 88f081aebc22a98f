;; Atomic instructions.
;; expect: refused invalid_component: threads
;; whole: component
(component (core module (memory 1) (func (drop (i32.atomic.load (i32.const 0))))))
