;; More functions than any strategy has.
;; expect: refused needs_too_much: the component needs functions: 20001
;; repeat 60000: (func)
