import ctypes

from harness import must_fail, syscall

buffer = ctypes.create_string_buffer(64)
must_fail(
    ptrace_traceme=syscall(101, 117, 0, 0, 0, 0),
    ptrace_attach=syscall(101, 117, 16, 1, 0, 0),
    process_vm_readv=syscall(310, 270, 1, ctypes.addressof(buffer), 1, ctypes.addressof(buffer), 1, 0),
    process_vm_writev=syscall(311, 271, 1, ctypes.addressof(buffer), 1, ctypes.addressof(buffer), 1, 0),
    pidfd_getfd=syscall(438, 438, 0, 0, 0),
    mem=lambda: open("/proc/1/mem", "rb+"),
    environ=lambda: open("/proc/1/environ", "rb").read(),
    maps=lambda: open("/proc/1/maps", "rb").read(),
)
