;; The allocator drops the set whose rows are being passed in.
;; expect: fault strategy_trap: cannot leave component instance
;; own: realloc
(global $set (mut i32) (i32.const 0))
(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
  (if (global.get $set) (then (call $drop (global.get $set))))
  (i32.const 8192))
(func $compose (result i32)
  (global.set $set (call $trending (i32.const 5)))
  (call $rows (global.get $set) (i32.const 800))
  (i32.const 128))
