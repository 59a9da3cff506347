import ctypes
import errno

from harness import must_fail, syscall

buffer = ctypes.create_string_buffer(256)
must_fail(
    setup=syscall(425, 425, 8, buffer),
    enter=syscall(426, 426, 0, 1, 0, 0, 0, 0) != errno.EBADF,
    register=syscall(427, 427, 0, 0, 0, 0) != errno.EBADF,
    aio_on_a_socket=lambda: __import__("socket").socket(2, 1),
)
