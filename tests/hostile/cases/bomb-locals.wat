;; A thousand functions with fifty thousand variables each.
;; expect: refused needs_too_much: locals
(type $none (func))
;; repeat 40: (func (local $v v128)
;; repeat 1: )
