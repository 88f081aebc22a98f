;; More functions than any strategy has.
;; expect: refused needs_too_much: functions
;; repeat 60000: (func)
