;; Jumps in a circle by a table of its own state.
;; expect: fault out_of_fuel
(func $compose (result i32) (local $state i32)
  (loop $again
    (block $two (block $one (block $zero
      (br_table $zero $one $two (local.get $state)))
      (local.set $state (i32.const 1)) (br $again))
      (local.set $state (i32.const 2)) (br $again))
    (local.set $state (i32.const 0)) (br $again))
  unreachable)
