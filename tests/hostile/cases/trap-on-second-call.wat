;; Traps when it sees what an earlier call left behind: there is nothing to see.
;; expect: page 0
(global $calls (mut i32) (i32.const 0))
(func $compose (result i32)
  (if (i32.or (global.get $calls) (i32.load (i32.const 2000))) (then unreachable))
  (global.set $calls (i32.const 1))
  (i32.store (i32.const 2000) (i32.const 1))
  (i32.const 128))
