;; The text of a module, in text.
;; expect: refused not_a_component: something else entirely
;; whole: bytes
(module)
