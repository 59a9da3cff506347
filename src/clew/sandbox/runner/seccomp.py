"""The system call filter, assembled to classic BPF (Linux ``Documentation/userspace-api/seccomp_filter.rst``).

What is not named is allowed up to the newest call known here; calls that are newer do not exist for the command.
A refused call returns EPERM, so that programs report it; only a foreign architecture's entry kills the process.
"""

import errno
import functools
import os
import struct

_LOAD = 0x20  # BPF_LD | BPF_W | BPF_ABS
_JUMP_EQUAL = 0x15
_JUMP_GREATER = 0x25
_JUMP_GREATER_EQUAL = 0x35
_JUMP_ANY_BIT = 0x45
_RETURN = 0x06
_AND = 0x54

_ALLOW = 0x7FFF0000
_KILL = 0x80000000
_REFUSE = 0x00050000

_OFFSET_NUMBER = 0
_OFFSET_ARCH = 4
_OFFSET_ARGS = 16

_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32 = 0x40000000
_NEWEST = 469

_AF_UNIX = 1
_SOCK_STREAM = 1
_SOCK_SEQPACKET = 5
_RLIMIT_CORE = 4
_TIOCSTI = 0x5412
_TIOCLINUX = 0x541C
_TIOCSETD = 0x5423
_NAMESPACES = 0x7E020080
"""CLONE_NEW{NS,CGROUP,UTS,IPC,USER,PID,NET}, and NEWTIME for the calls that know it."""
_QUERY = 0xFFFFFFFF

_DENIED: dict[str, tuple[int | None, int | None]] = {
    # Other processes' memory and descriptors.
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "pidfd_getfd": (438, 438),
    "kcmp": (312, 272),
    # Mounts, roots, namespaces.
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "statmount": (457, 457),
    "listmount": (458, 458),
    "open_tree_attr": (467, 467),
    "unshare": (272, 97),
    "setns": (308, 268),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    # Keys, programs in the kernel, asynchronous entries around this filter.
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "userfaultfd": (323, 282),
    "fanotify_init": (300, 262),
    "fanotify_mark": (301, 263),
    # The machine.
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "reboot": (169, 142),
    "create_module": (174, None),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "get_kernel_syms": (177, None),
    "query_module": (178, None),
    "acct": (163, 89),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "nfsservctl": (180, 42),
    "lookup_dcookie": (212, 18),
    "iopl": (172, None),
    "ioperm": (173, None),
    "modify_ldt": (154, None),
    "uselib": (134, None),
    "ustat": (136, None),
    "sysfs": (139, None),
    "_sysctl": (156, None),
    "syslog": (103, 116),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "clock_adjtime": (305, 266),
    "adjtimex": (159, 171),
    "vhangup": (153, 58),
    "move_pages": (279, 239),
    "migrate_pages": (256, 238),
    "mbind": (237, 235),
    "set_mempolicy": (238, 237),
    "set_mempolicy_home_node": (450, 450),
    "remap_file_pages": (216, 234),
    "vmsplice": (278, 75),
    # Memory that no process' resident set shows, so that a watchdog could not see it.
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
    "msgget": (68, 186),
    "semget": (64, 190),
    "mq_open": (240, 180),
}

_DENIED_BARE: dict[str, tuple[int | None, int | None]] = {
    # Where the host's root and uid are not hidden: what Landlock does not look at.
    "socket": (41, 198),
    "connect": (42, 203),
    "bind": (49, 200),
    "chmod": (90, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "chown": (92, None),
    "fchown": (93, 55),
    "lchown": (94, None),
    "fchownat": (260, 54),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
    "setxattrat": (463, 463),
    "removexattrat": (466, 466),
    "file_setattr": (469, 469),
    "utime": (132, None),
    "utimes": (235, None),
    "futimesat": (261, None),
    "utimensat": (280, 88),
    "inotify_add_watch": (254, 27),
    "setpriority": (141, 140),
    "ioprio_set": (251, 30),
    "sched_setscheduler": (144, 119),
    "sched_setparam": (142, 118),
    "sched_setattr": (314, 274),
    "sched_setaffinity": (203, 122),
    "process_mrelease": (448, 448),
}

_CHECKED: dict[str, tuple[int, int]] = {
    "clone": (56, 220),
    "clone3": (435, 435),
    "socket": (41, 198),
    "socketpair": (53, 199),
    "ioctl": (16, 29),
    "personality": (135, 92),
    "setrlimit": (160, 164),
    "prlimit64": (302, 261),
}


def _op(code: int, k: int, jump_true: int = 0, jump_false: int = 0) -> bytes:
    return struct.pack("<HBBI", code, jump_true, jump_false, k)


_EPERM = _op(_RETURN, _REFUSE | errno.EPERM)
_ENOSYS = _op(_RETURN, _REFUSE | errno.ENOSYS)
_OK = _op(_RETURN, _ALLOW)


def _argument(index: int, *, high: bool = False) -> bytes:
    """Load 32 bits of an argument. ``int`` arguments are compared by the low half alone, as the kernel reads them."""
    return _op(_LOAD, _OFFSET_ARGS + 8 * index + (4 if high else 0))


def _when(number: int, body: bytes) -> bytes:
    """Run ``body`` (which returns) for one system call; expects the number to be loaded."""
    return _op(_JUMP_EQUAL, number, 0, len(body) // 8) + body


def _argument_checks(column: int, *, bare: bool) -> bytes:
    number = {name: numbers[column] for name, numbers in _CHECKED.items()}
    only_unix = _argument(0) + _op(_JUMP_EQUAL, _AF_UNIX, 0, 1) + _OK + _EPERM
    # Of a pair of datagram sockets each half could still send to any other socket that has a path.
    only_connected = (
        _argument(0)
        + _op(_JUMP_EQUAL, _AF_UNIX, 1)
        + _EPERM
        + _argument(1)
        + _op(_AND, 0xF)
        + b"".join(_op(_JUMP_EQUAL, kind, 0, 1) + _OK for kind in (_SOCK_STREAM, _SOCK_SEQPACKET))
        + _EPERM
    )
    no_namespaces = _argument(0) + _op(_JUMP_ANY_BIT, _NAMESPACES & ~0xFF, 0, 1) + _EPERM + _OK
    no_terminal_input = _argument(1) + b"".join(
        _op(_JUMP_EQUAL, request, 0, 1) + _EPERM for request in (_TIOCSTI, _TIOCLINUX, _TIOCSETD)
    )
    default_personality = _argument(0) + _op(_JUMP_EQUAL, 0, 1) + _op(_JUMP_EQUAL, _QUERY, 0, 1) + _OK + _EPERM
    keep_core = _argument(0) + _op(_JUMP_EQUAL, _RLIMIT_CORE, 0, 1) + _EPERM + _OK
    own_limits = (
        _argument(0)
        + _op(_JUMP_EQUAL, 0, 1)
        + _EPERM
        + _argument(1)
        + _op(_JUMP_EQUAL, _RLIMIT_CORE, 1)
        + _OK
        + b"".join(_argument(2, high=high) + _op(_JUMP_EQUAL, 0, 1) + _EPERM for high in (False, True))
        + _OK
    )
    return (
        # glibc falls back to clone, whose flags can be read here; clone3's lie in memory.
        _when(number["clone3"], _ENOSYS)
        + _when(number["clone"], no_namespaces)
        + _when(number["socket"], _EPERM if bare else only_unix)
        + _when(number["socketpair"], only_connected if bare else only_unix)
        + _when(number["ioctl"], no_terminal_input + _OK)
        + _when(number["personality"], default_personality)
        + _when(number["setrlimit"], keep_core)
        + _when(number["prlimit64"], own_limits)
    )


@functools.cache
def program(*, bare: bool = False) -> bytes:
    """The filter for this machine; assembled once, before anything is forked."""
    return assemble(os.uname().machine, bare=bare)


def assemble(machine: str, *, bare: bool = False) -> bytes:
    """The filter, ``bare`` where nothing but Landlock stands beside it.

    Raises OSError for any architecture but ``x86_64`` and ``aarch64``.
    """
    if machine not in _ARCH:
        raise OSError(errno.ENOSYS, f"seccomp: the {machine} architecture is not supported")
    column = 0 if machine == "x86_64" else 1
    parts = [
        _op(_LOAD, _OFFSET_ARCH),
        _op(_JUMP_EQUAL, _ARCH[machine], 1),
        _op(_RETURN, _KILL),
        _op(_LOAD, _OFFSET_NUMBER),
    ]
    if machine == "x86_64":
        parts += [_op(_JUMP_GREATER_EQUAL, _X32, 0, 1), _EPERM]
    parts += [_op(_JUMP_GREATER, _NEWEST, 0, 1), _ENOSYS, _argument_checks(column, bare=bare)]
    denied = {**_DENIED, **_DENIED_BARE} if bare else _DENIED
    parts += [_when(number, _EPERM) for numbers in denied.values() if (number := numbers[column]) is not None]
    return b"".join([*parts, _OK])
