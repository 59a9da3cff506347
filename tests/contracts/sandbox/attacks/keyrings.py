import ctypes

from harness import must_fail, syscall

text = ctypes.c_char_p(b"user")
must_fail(
    add_key=syscall(248, 217, text, text, text, 4, -3),
    request_key=syscall(249, 218, text, text, 0, 0),
    **{f"keyctl_{operation}": syscall(250, 219, operation, -3, -5, 0, 0) for operation in range(33)},
)
