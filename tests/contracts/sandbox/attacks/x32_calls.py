import errno

from harness import X86, breach, held, syscall

if not X86:
    held("other architecture")
for number in (0x40000000 | 39, 0x40000000 | 101, 0x40000000 | 520):
    code = syscall(number, None)
    if code not in (errno.EPERM, errno.ENOSYS):
        breach(f"x32 call {number:#x}: errno {code}")
held()
