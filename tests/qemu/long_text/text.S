// 5 MiB of text: at least one whole large page of every processor's, wherever it begins.
    .section .text.long_text, "ax"
    .globl long_text
    .balign 4
long_text:
    .zero 5 << 20

    .section .note.GNU-stack, ""
