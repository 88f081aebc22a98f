;; A title of zeros, escapes and text that runs from right to left: a text like any other.
;; expect: page 5
(data (i32.const 2000) "\00\1b[31m\e2\80\ae\00\"<script>")
(func $compose (result i32)
  (i32.store (i32.const 208) (i32.const 2000)) (i32.store (i32.const 212) (i32.const 19))
  (call $page (call $trending (i32.const 5))))
