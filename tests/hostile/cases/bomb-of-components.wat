;; Twenty components, each made of two of the one before: a million instances out of a few hundred bytes.
;; expect: refused needs_too_much: component
;; whole: component
(component
  (component $c0 (core module $m) (core instance (instantiate $m)))
;; repeat 20: (component $d# (alias outer 1 $c0 (component $c)) (instance (instantiate $c)) (instance (instantiate $c)))
)
