import os

from harness import must_fail, syscall

SIGCHLD = 17
fd = os.open("/proc/self/ns/mnt", os.O_RDONLY)
must_fail(
    unshare_user=syscall(272, 97, 0x10000000),
    unshare_net=syscall(272, 97, 0x40000000),
    unshare_files=syscall(272, 97, 0x400),
    setns=syscall(308, 268, fd, 0),
    clone_user=syscall(56, 220, 0x10000000 | SIGCHLD, 0, 0, 0, 0),
    clone_user_with_high_bits=syscall(56, 220, 0x7F00000010000000 | SIGCHLD, 0, 0, 0, 0),
    clone3=syscall(435, 435, 0, 0),
)
