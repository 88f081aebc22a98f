;; More core instances than there is room for.
;; expect: refused needs_too_much: core instances
;; whole: component
(component
  (core module $m)
;; repeat 40: (core instance (instantiate $m))
)
