;; Memory in pages of one byte.
;; expect: refused invalid_component
;; whole: component
(component (core module (memory 1 (pagesize 1))))
