;; A function that answers later.
;; expect: refused invalid_component
;; whole: component
(component (type (stream u8)))
