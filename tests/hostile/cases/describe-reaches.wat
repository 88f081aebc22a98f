;; Looks for candidates and for a visitor while it says what it is: there are none.
;; expect: page 0
;; own: describe
(func (export "describe") (result i32)
  (if (call $known) (then unreachable))
  (if (call $size (call $trending (i32.const 5))) (then unreachable))
  (i32.const 320))
