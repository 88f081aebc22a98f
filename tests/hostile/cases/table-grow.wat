;; Grows a table until it is told no.
;; expect: page 0
(table $t 1 funcref)
(func $compose (result i32)
  (loop $l (br_if $l (i32.ge_s (table.grow $t (ref.null func) (i32.const 64)) (i32.const 0))))
  (i32.const 128))
