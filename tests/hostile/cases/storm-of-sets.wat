;; Makes sets without end, each empty.
;; expect: fault set_limit
(func $compose (result i32)
  (loop $l (call $retrieve (i32.const 600) (i32.const 0) (i32.const 700)) (br $l)) unreachable)
