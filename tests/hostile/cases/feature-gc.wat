;; Objects that somebody must collect.
;; expect: refused invalid_component
;; whole: component
(component (core module (type $s (struct (field i32))) (func (drop (struct.new_default $s)))))
