;; More tables than there is room for.
;; expect: refused invalid_component: defined tables count of 20
;; repeat 20: (table 10 funcref)
