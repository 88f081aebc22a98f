;; Fifty jumps with fifty thousand ways each.
;; expect: refused needs_too_much: targets
(func (param i32)
  (block $out
;; repeat 1: (br_table
;; repeat 60000: $out
;; repeat 1: (local.get 0))
  ))
