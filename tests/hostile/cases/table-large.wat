;; Starts with a larger table than there is room for.
;; expect: refused needs_too_much: table elements
(table 30000 funcref)
