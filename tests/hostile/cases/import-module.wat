;; Wants a core module.
;; expect: refused forbidden_import: libc
;; whole: component
(component (import "libc" (core module (export "memory" (memory 1)))))
