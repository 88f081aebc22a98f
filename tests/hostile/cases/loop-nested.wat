;; Loops eight deep, each for ever.
;; expect: fault out_of_fuel
(func $compose (result i32)
  (loop $a (loop $b (loop $c (loop $d (loop $e (loop $f (loop $g (loop $h
    (br_if $h (i32.const 0)) (br $a) ) ) ) ) ) ) ) )
  unreachable)
