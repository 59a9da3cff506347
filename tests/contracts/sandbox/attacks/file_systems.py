import ctypes

from harness import must_fail, syscall

tmp = ctypes.c_char_p(b"/tmp")
must_fail(
    **{
        name: syscall(165, 40, ctypes.c_char_p(b"none"), tmp, ctypes.c_char_p(name.encode()), 0, 0)
        for name in (
            "overlay",
            "fuse",
            "proc",
            "sysfs",
            "devpts",
            "cgroup2",
            "binfmt_misc",
            "debugfs",
            "tracefs",
            "nfs",
        )
    },
    fsmount=syscall(432, 432, 0, 0, 0),
    move_mount=syscall(429, 429, -100, tmp, -100, tmp, 0),
    quotactl=syscall(179, 60, 0, tmp, 0, 0),
)
