;; More tables than there is room for.
;; expect: refused wrong_world
;; repeat 20: (table 10 funcref)
