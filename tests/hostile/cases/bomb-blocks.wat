;; Blocks within blocks, forty thousand deep.
;; expect: refused needs_too_much: blocks within blocks
;; whole: component
(component (core module
(func
;; repeat 40000: (block
;; repeat 40000: )
  )
))
