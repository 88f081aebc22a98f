;; Five functions with fifty thousand variables each: four bytes declare as many as one likes.
;; expect: refused needs_too_much: locals
;; whole: component
(component (core module
(func (local
;; repeat 50000: i64
  ))
(func (local
;; repeat 50000: i64
  ))
(func (local
;; repeat 50000: i64
  ))
(func (local
;; repeat 50000: i64
  ))
(func (local
;; repeat 50000: i64
  ))
))
