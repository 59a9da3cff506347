"""Landlock (Linux ``Documentation/userspace-api/landlock.rst``): what a process and its children may open and signal."""

import ctypes
import os
import stat

from . import kernel

NEEDED_ABI = 6
"""The first that can keep signals and abstract sockets inside."""

_CREATE, _ADD, _RESTRICT = 444, 445, 446
_VERSION = 1
_PATH_BENEATH = 1
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _TRUNCATE = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 14
_MAKE_DEVICES = 1 << 6 | 1 << 11
_EVERYTHING = (1 << 16) - 1
_NET_BIND_CONNECT = 3
_SCOPE_ABSTRACT_AND_SIGNAL = 3
READ = _EXECUTE | _READ_FILE | _READ_DIR
WRITE = _EVERYTHING & ~_MAKE_DEVICES & ~(1 << 15)
DEVICE = _READ_FILE | _WRITE_FILE | _TRUNCATE
_FOR_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE


class _Ruleset(ctypes.Structure):
    _fields_ = (("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def abi() -> int:
    """The version that the running kernel offers; 0 for none."""
    try:
        return kernel.call("landlock_create_ruleset", _CREATE, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION))
    except OSError:
        return 0


def restrict(allowed: list[tuple[str, int]]) -> None:
    """Nothing but ``allowed`` (path, rights) can be opened from now on, no port used, nobody outside signalled.

    Paths that do not exist are left out. Needs no_new_privs. Raises OSError.
    """
    ruleset = _create(_EVERYTHING, _NET_BIND_CONNECT)
    try:
        for path, rights in allowed:
            try:
                beneath = os.open(path, os.O_PATH | os.O_CLOEXEC)
            except OSError:
                continue
            if not stat.S_ISDIR(os.fstat(beneath).st_mode):
                rights &= _FOR_FILES
            rule = _PathBeneath(rights, beneath)
            kernel.call("landlock_add_rule", _ADD, ruleset, _PATH_BENEATH, ctypes.byref(rule), 0)
            os.close(beneath)
        kernel.call("landlock_restrict_self", _RESTRICT, ruleset, 0)
    finally:
        os.close(ruleset)


def restrict_signals() -> None:
    """One more domain inside: whoever is in it cannot signal those who are only in the outer one."""
    ruleset = _create(0, 0)
    try:
        kernel.call("landlock_restrict_self", _RESTRICT, ruleset, 0)
    finally:
        os.close(ruleset)


def _create(fs: int, net: int) -> int:
    rules = _Ruleset(fs, net, _SCOPE_ABSTRACT_AND_SIGNAL)
    size = ctypes.c_size_t(ctypes.sizeof(rules))
    return kernel.call("landlock_create_ruleset", _CREATE, ctypes.byref(rules), size, 0)
