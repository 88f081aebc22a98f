;; Components within components, forty deep.
;; expect: refused needs_too_much: components inside
;; whole: component
;; repeat 40: (component
;; repeat 40: )
