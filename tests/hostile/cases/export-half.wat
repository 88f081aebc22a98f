;; Composes, and does not say what it is.
;; expect: refused wrong_world
;; whole: component
(component
  (core module $m (func (export "compose") (result i32) (i32.const 0)))
  (core instance $i (instantiate $m))
  (func (export "compose") (result u32) (canon lift (core func $i "compose"))))
