;; Wants a clock.
;; expect: refused forbidden_import: wasi:clocks/wall-clock@0.2.0
;; whole: component
(component (import "wasi:clocks/wall-clock@0.2.0" (instance (export "now" (func (result u64))))))
