import ctypes

from harness import must_fail, syscall

tmp = ctypes.c_char_p(b"/tmp")
tmpfs = ctypes.c_char_p(b"tmpfs")
must_fail(
    mount=syscall(165, 40, tmpfs, tmp, tmpfs, 0, 0),
    remount=syscall(165, 40, 0, ctypes.c_char_p(b"/usr"), 0, 0x20 | 0x1000, 0),
    umount=syscall(166, 39, ctypes.c_char_p(b"/proc"), 2),
    pivot_root=syscall(155, 41, tmp, tmp),
    chroot=syscall(161, 51, tmp),
    open_tree=syscall(428, 428, -100, tmp, 1),
    fsopen=syscall(430, 430, tmpfs, 0),
    mount_setattr=syscall(442, 442, -100, tmp, 0, 0, 0),
)
