;; Lists thirty thousand item ids, all the same.
;; expect: page 1
;; pages: 8
(data (i32.const 2000) "\d8\07\00\00\04\00\00\00i007")
(func $compose (result i32)
  (call $tile (i32.const 65536) (i32.const 2000) (i32.const 8) (i32.const 30000))
  (i32.store8 (i32.const 608) (i32.const 9))
  (i32.store (i32.const 612) (i32.const 65536)) (i32.store (i32.const 616) (i32.const 30000))
  (call $page (call $trending (i32.const 100))))
