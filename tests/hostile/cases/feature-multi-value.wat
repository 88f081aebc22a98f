;; A function of thirty results that is called forty thousand times, in two bytes each.
;; expect: refused invalid_component
;; whole: component
(component (core module
(func $f (result
;; repeat 30: i64
  ) unreachable)
(func
;; repeat 40000: (call $f)
  unreachable)
))
