import ctypes

from harness import must_fail, syscall

buffer = ctypes.create_string_buffer(256)
must_fail(
    keyctl=syscall(250, 219, 0, -3, 1),
    add_key=syscall(248, 217, ctypes.c_char_p(b"user"), ctypes.c_char_p(b"x"), ctypes.c_char_p(b"y"), 1, -2),
    bpf=syscall(321, 280, 0, buffer, 128),
    io_uring=syscall(425, 425, 1, buffer),
    perf=syscall(298, 241, buffer, 0, -1, -1, 0),
    userfaultfd=syscall(323, 282, 1),
    kexec=syscall(246, 104, 0, 0, 0, 0),
    init_module=syscall(175, 105, buffer, 8, ctypes.c_char_p(b"")),
    finit_module=syscall(313, 273, 0, ctypes.c_char_p(b""), 0),
    open_by_handle=syscall(304, 265, -100, buffer, 0),
    name_to_handle=syscall(303, 264, -100, ctypes.c_char_p(b"/"), buffer, buffer, 0),
    personality_no_random=syscall(135, 92, 0x0040000),
    personality_read_implies_exec=syscall(135, 92, 0x0400000),
    modify_ldt=syscall(154, None, 0, buffer, 16),
    iopl=syscall(172, None, 3),
    syslog=syscall(103, 116, 3, buffer, 128),
    reboot=syscall(169, 142, 0xFEE1DEAD, 672274793, 0, 0),
    swapoff=syscall(168, 225, ctypes.c_char_p(b"/x")),
    settime=syscall(227, 112, 0, buffer),
    sethostname=syscall(170, 161, ctypes.c_char_p(b"x"), 1),
    memfd_secret=syscall(447, 447, 0),
    newer_than_known=syscall(480, 480, 0),
)
