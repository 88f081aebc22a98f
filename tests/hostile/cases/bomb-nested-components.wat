;; Components within components, ninety deep.
;; expect: refused needs_too_much: component
;; whole: component
;; repeat 90: (component
;; repeat 90: )
