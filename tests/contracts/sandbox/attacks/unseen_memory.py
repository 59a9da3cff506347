import ctypes
import os

from harness import must_fail, syscall

must_fail(
    memfd=lambda: os.memfd_create("x"),
    shmget=syscall(29, 194, 0, 1 << 20, 0o1600),
    msgget=syscall(68, 186, 0, 0o1600),
    semget=syscall(64, 190, 0, 250, 0o1600),
    mq_open=syscall(240, 180, ctypes.c_char_p(b"q"), 0o102, 0o600, 0),
)
