;; Three jumps with fifty thousand ways each.
;; expect: refused needs_too_much: targets of jump tables
(func (param i32)
  (block $out (br_table
;; repeat 50000: $out
    (local.get 0)))
  (block $out (br_table
;; repeat 50000: $out
    (local.get 0)))
  (block $out (br_table
;; repeat 50000: $out
    (local.get 0))))
