;; Claims to be compiled already: machine code that would be run as it is.
;; expect: refused not_a_component: something else entirely
;; whole: bytes
ELF .wasmtime.engine .text .rodata
