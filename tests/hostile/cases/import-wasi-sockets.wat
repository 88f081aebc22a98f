;; Wants the network.
;; expect: refused forbidden_import: wasi:sockets/network@0.2.0
;; whole: component
(component (import "wasi:sockets/network@0.2.0" (instance (export "network" (type (sub resource))))))
