;; Its start function passes a text to the host, before its memory is known there.
;; expect: refused describe_failed: uninitialized element
(func $start (call $write (i32.const 256) (i32.const 4)))
(start $start)
