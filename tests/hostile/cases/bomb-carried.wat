;; A function with nine hundred variables and four thousand jumps, each of which carries all of them on.
;; expect: refused needs_too_much: branches times variables
;; whole: component
(component (core module
(func $f (param i32) (local
;; repeat 900: i64
  )
  (block
;; repeat 4000: (br_if 0 (local.get 0))
  ))
))
