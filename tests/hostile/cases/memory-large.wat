;; Starts with more memory than there is.
;; expect: refused needs_too_much: pages of memory
;; pages: 300
