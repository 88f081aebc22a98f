;; Vector instructions whose results depend on the machine.
;; expect: refused invalid_component: relaxed
;; whole: component
(component (core module (func (param v128) (drop (i32x4.relaxed_trunc_f32x4_s (local.get 0))))))
