import ctypes
import errno

from harness import breach, held, syscall

letter = ctypes.create_string_buffer(b"x")
for request in (0x5412, 0x541C, 0x5423, 0x100000000 | 0x5412):
    code = syscall(16, 29, 0, request, letter)
    if code != errno.EPERM:
        breach(f"ioctl {request:#x} was not stopped by the filter: errno {code}")
held()
