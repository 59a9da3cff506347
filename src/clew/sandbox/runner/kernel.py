"""The system calls that Python does not offer, through ctypes. Every function raises OSError that names the call."""

import ctypes
import os
from typing import Any

MACHINE = os.uname().machine

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_REMOUNT = 0x20
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000

MNT_DETACH = 0x2

MOUNT_ATTR_RDONLY = 0x1
MOUNT_ATTR_NOSUID = 0x2
MOUNT_ATTR_NODEV = 0x4
MOUNT_ATTR_NOEXEC = 0x8

_AT_FDCWD = -100
_AT_SYMLINK_NOFOLLOW = 0x100
_AT_RECURSIVE = 0x8000

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_CAPBSET_DROP = 24
_PR_SET_SECUREBITS = 28
_PR_SET_NO_NEW_PRIVS = 38
_PR_GET_NO_NEW_PRIVS = 39
_PR_GET_SECCOMP = 21
_PR_SET_CHILD_SUBREAPER = 36
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_SECCOMP_SET_MODE_FILTER = 1
_SECUREBITS_LOCKED = 0xEF
"""NOROOT, NO_SETUID_FIXUP, NO_CAP_AMBIENT_RAISE, each with its lock (KEEP_CAPS stays off, locked)."""
_CAPABILITY_VERSION_3 = 0x20080522

_NUMBERS = {
    "x86_64": {"pivot_root": 155, "seccomp": 317, "capset": 126, "mount_setattr": 442, "rt_sigaction": 13},
    "aarch64": {"pivot_root": 41, "seccomp": 277, "capset": 91, "mount_setattr": 442, "rt_sigaction": 134},
}

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
_python = ctypes.PyDLL(None, use_errno=True)


class _MountAttr(ctypes.Structure):
    _fields_ = (
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    )


class _FilterProgram(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


class _CapHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def _number(name: str) -> int:
    try:
        return _NUMBERS[MACHINE][name]
    except KeyError:
        raise OSError(38, f"{name}: the {MACHINE} architecture is not supported") from None


def write_file(path: str, text: str) -> None:
    """Write to an existing file. Without Python's streams: a fork pays for every page of them that it touches."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def default_signals() -> None:
    """Give every signal its default action, whatever the engine was started with (``nohup``, a shell's background).

    By the bare system call: the C library keeps two signals for itself and refuses to touch them.
    """
    call, size = ctypes.c_long(_number("rt_sigaction")), ctypes.c_long(8)
    action = ctypes.create_string_buffer(64)  # all zero: SIG_DFL, no flags, nothing masked
    for number in range(1, 65):
        if number not in (9, 19):  # KILL and STOP have no other action
            _checked(_libc.syscall(call, ctypes.c_long(number), action, None, size), "rt_sigaction")


def erase_arguments() -> None:
    """Wipe this process' command line and environment as /proc shows them: what is forked from it inherits both."""
    with open("/proc/self/stat", "rb") as file:  # noqa: PTH123 - pathlib would be one more import for nothing
        fields = file.read().rpartition(b")")[2].split()
    for start, end in ((45, 46), (47, 48)):  # arg_start, arg_end, env_start, env_end; proc_pid_stat(5) counts from 1
        first, last = int(fields[start]), int(fields[end])
        if 0 < first < last:
            ctypes.memset(first, 0, last - first)


def fork() -> int:
    """fork(2) without the interpreter's own work after it: for children that run nothing but this package, in the only
    thread there is. It would touch, and so copy, half a MiB, for new random seeds and thread states that nobody uses."""
    return _checked(int(_python.fork()), "fork")


def unshare(flags: int) -> None:
    _checked(_libc.unshare(ctypes.c_int(flags)), f"unshare({flags:#x})")


def mount(source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    result = _libc.mount(
        os.fsencode(source),
        os.fsencode(target),
        kind.encode() if kind else None,
        ctypes.c_ulong(flags),
        data.encode() if data else None,
    )
    _checked(result, f"mount({source!r} on {target!r})")


def mount_attributes(target: str, attributes: int, *, recursive: bool = True) -> None:
    """Add attributes to a mount and (``recursive``) all below it; needs Linux 5.12."""
    attr = _MountAttr(attributes, 0, 0, 0)
    flags = _AT_SYMLINK_NOFOLLOW | (_AT_RECURSIVE if recursive else 0)
    result = _libc.syscall(
        ctypes.c_long(_number("mount_setattr")),
        ctypes.c_int(_AT_FDCWD),
        ctypes.c_char_p(os.fsencode(target)),
        ctypes.c_uint(flags),
        ctypes.byref(attr),
        ctypes.c_size_t(ctypes.sizeof(attr)),
    )
    _checked(result, f"mount_setattr({target!r})")


def unmount(target: str, flags: int = MNT_DETACH) -> None:
    _checked(_libc.umount2(os.fsencode(target), ctypes.c_int(flags)), f"umount({target!r})")


def pivot_root(new: str, old: str) -> None:
    result = _libc.syscall(ctypes.c_long(_number("pivot_root")), os.fsencode(new), os.fsencode(old))
    _checked(result, f"pivot_root({new!r})")


def set_hostname(name: str) -> None:
    raw = name.encode()
    _checked(_libc.sethostname(raw, ctypes.c_size_t(len(raw))), "sethostname")


def _prctl(option: int, *args: int) -> int:
    padded = [ctypes.c_ulong(arg) for arg in (*args, 0, 0, 0, 0)[:4]]
    return int(_libc.prctl(ctypes.c_int(option), *padded))


def die_with_parent(parent: int) -> None:
    """SIGKILL for this process when the thread that made it ends; ``parent`` closes the gap before the call."""
    _checked(_prctl(_PR_SET_PDEATHSIG, 9), "prctl(PDEATHSIG)")
    if os.getppid() != parent:
        os._exit(1)


def call(name: str, number: int, *arguments: Any) -> int:
    """A raw system call whose number is the same on every architecture. Raises OSError."""
    padded = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    return _checked(int(_libc.syscall(ctypes.c_long(number), *padded)), name)


def adopt_orphans() -> None:
    """Descendants whose parent ends become children of this process."""
    _checked(_prctl(_PR_SET_CHILD_SUBREAPER, 1), "prctl(CHILD_SUBREAPER)")


def tell_of_parents_end(parent: int) -> None:
    """SIGTERM for this process when the one that made it ends."""
    _checked(_prctl(_PR_SET_PDEATHSIG, 15), "prctl(PDEATHSIG)")
    if os.getppid() != parent:
        os._exit(1)


def is_filtered() -> bool:
    """Whether a seccomp filter and no_new_privs hold for this process."""
    return _prctl(_PR_GET_SECCOMP) == 2 and _prctl(_PR_GET_NO_NEW_PRIVS) == 1


def set_dumpable(value: bool) -> None:
    _checked(_prctl(_PR_SET_DUMPABLE, int(value)), "prctl(DUMPABLE)")


def drop_privileges() -> None:
    """Give up every capability for good: bounding and ambient set, securebits locked, no_new_privs."""
    for capability in range(64):
        if _prctl(_PR_CAPBSET_DROP, capability) < 0:
            if capability <= 37:
                _checked(-1, f"prctl(CAPBSET_DROP {capability})")
            break
    _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    _checked(_prctl(_PR_SET_SECUREBITS, _SECUREBITS_LOCKED), "prctl(SECUREBITS)")
    clear_capabilities()
    _checked(_prctl(_PR_SET_NO_NEW_PRIVS, 1), "prctl(NO_NEW_PRIVS)")


def drop_capabilities() -> None:
    """The part of ``drop_privileges`` that needs no privilege: for a process that has no capabilities to give away."""
    _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    clear_capabilities()
    _checked(_prctl(_PR_SET_NO_NEW_PRIVS, 1), "prctl(NO_NEW_PRIVS)")


def clear_capabilities() -> None:
    """Empty the effective, permitted and inheritable sets."""
    header = _CapHeader(_CAPABILITY_VERSION_3, 0)
    nothing = (ctypes.c_uint32 * 6)()
    result = _libc.syscall(ctypes.c_long(_number("capset")), ctypes.byref(header), ctypes.byref(nothing))
    _checked(result, "capset")


def load_filter(program: bytes) -> None:
    """Load a seccomp filter (8 bytes an instruction) for this process and all that come from it."""
    argument = _FilterProgram(len(program) // 8, program)
    result = _libc.syscall(
        ctypes.c_long(_number("seccomp")),
        ctypes.c_uint(_SECCOMP_SET_MODE_FILTER),
        ctypes.c_uint(0),
        ctypes.byref(argument),
    )
    _checked(result, "seccomp")
