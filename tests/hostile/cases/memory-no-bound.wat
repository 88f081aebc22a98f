;; Says that its memory may grow to 4 GiB; it does not try.
;; expect: page 0
;; own: memory
(memory (export "memory") 1 65536)
