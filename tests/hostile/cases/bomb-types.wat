;; A type of a list of a list of a list, and so on.
;; expect: refused wrong_world
;; whole: component
(component
  (type $t0 (list u8))
;; repeat 1: (type $t1 (tuple $t0 $t0))
)
