import ctypes

from harness import must_fail, syscall

must_fail(
    fanotify=syscall(300, 262, 0, 0),
    fanotify_reporting=syscall(300, 262, 0x200, 0),
    lookup_dcookie=syscall(212, 18, 0, ctypes.c_char_p(b""), 0),
    userfaultfd=syscall(323, 282, 0),
    userfaultfd_user_mode=syscall(323, 282, 1),
    kcmp=syscall(312, 272, 1, 1, 0, 0, 0),
)
