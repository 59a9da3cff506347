"""A 32-bit entry (int 0x80) has other numbers than the filter knows: the process must die, not run on."""

import ctypes
import mmap
import os

from harness import X86, breach, held

if not X86:
    held("other architecture")
pid = os.fork()
if pid == 0:
    page = mmap.mmap(-1, 4096, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")  # mov eax, 20 (getpid); int 0x80; ret
    result = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()
    os._exit(0 if result > 0 else 7)
status = os.waitpid(pid, 0)[1]
if os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0:
    breach("int 0x80 passed the filter")
held()
