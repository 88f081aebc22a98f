;; Components within components, forty deep.
;; expect: refused needs_too_much: components within components
;; whole: component
;; repeat 40: (component
;; repeat 40: )
