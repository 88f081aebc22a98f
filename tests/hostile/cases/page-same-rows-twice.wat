;; Two shelves with the same rows: the guards take the doubles out, the sandbox lets them pass.
;; expect: page 10
(func $compose (result i32)
  (drop (call $page (call $trending (i32.const 5))))
  (memory.copy (i32.const 228) (i32.const 200) (i32.const 28))
  (i32.store (i32.const 244) (call $trending (i32.const 5)))
  (i32.store (i32.const 136) (i32.const 2))
  (i32.const 128))
