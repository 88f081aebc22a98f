;; Logs four megabytes in one line.
;; expect: fault transfer_limit
;; pages: 80
(func $compose (result i32) (call $write (i32.const 0) (i32.const 4000000)) (i32.const 128))
