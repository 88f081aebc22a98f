;; Plain vector instructions: allowed, and the same on every machine.
;; expect: page 0
(func $compose (result i32)
  (if (i32.ne (i32x4.extract_lane 2 (i32x4.add (v128.const i32x4 1 2 3 4) (v128.const i32x4 4 3 2 1))) (i32.const 5))
    (then unreachable))
  (i32.const 128))
