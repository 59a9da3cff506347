import ctypes
import mmap

from harness import breach, held, libc

page = mmap.mmap(-1, 8 << 20)
address = ctypes.c_void_p(ctypes.addressof(ctypes.c_char.from_buffer(page)))
if libc.mlock(address, ctypes.c_size_t(8 << 20)) == 0:
    breach("8 MiB locked")
if libc.mlockall(3) == 0:
    breach("mlockall")
held()
