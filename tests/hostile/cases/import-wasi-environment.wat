;; Wants the process's environment.
;; expect: refused forbidden_import: wasi:cli/environment@0.2.0
;; whole: component
(component (import "wasi:cli/environment@0.2.0" (instance)))
