;; Three jumps with thirty-five thousand ways each.
;; expect: refused needs_too_much: targets of jump tables
;; whole: component
(component (core module
(func (param i32)
  (block $out (br_table
;; repeat 35000: $out
    (local.get 0)))
  (block $out (br_table
;; repeat 35000: $out
    (local.get 0)))
  (block $out (br_table
;; repeat 35000: $out
    (local.get 0))))
))
