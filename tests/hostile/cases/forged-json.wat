;; A text.
;; expect: refused not_a_component: something else entirely
;; whole: bytes
{"not": "wasm"}
