;; Uses a handle after it was dropped and given to another set: it is that set now.
;; expect: page 3
(func $compose (result i32) (local $set i32)
  (local.set $set (call $trending (i32.const 5)))
  (call $drop (local.get $set))
  (if (i32.ne (call $trending (i32.const 3)) (local.get $set)) (then unreachable))
  (call $page (local.get $set)))
