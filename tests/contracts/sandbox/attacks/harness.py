"""Imported first by every attack. Refuses to go on unless it stands in other namespaces than the host's.

The host's namespaces are written to /workspace/host-namespaces.json by whoever starts an attack.
"""

import ctypes
import errno
import json
import os
import sys

REFUSED = 99


def _prove_landlocked():
    """No namespaces there: nothing of the root or of /proc can be opened, a filter holds, init cannot be signalled."""
    prctl = ctypes.CDLL(None).prctl
    if prctl(21, 0, 0, 0, 0) != 2 or prctl(39, 0, 0, 0, 0) != 1 or os.path.basename(os.getcwd()) != "workspace":
        return False
    for attempt in (
        lambda: os.listdir("/"),
        lambda: open("/proc/self/status"),
        lambda: open("/etc/passwd"),
        lambda: os.kill(os.getppid(), 0),
        lambda: os.mkdir("../probe"),
    ):
        try:
            attempt()
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
                continue
        return False
    return True


def _prove_confined():
    if os.environ.get("TIER") == "landlock":
        if not _prove_landlocked():
            sys.stderr.write("refused: this is not a sandbox\n")
            sys.exit(REFUSED)
        return
    try:
        with open("/workspace/host-namespaces.json") as file:
            host = json.load(file)
    except OSError:
        host = None
    if not host or any(os.readlink(f"/proc/self/ns/{name}") == host[name] for name in ("mnt", "pid", "user")):
        sys.stderr.write("refused: this is not a sandbox\n")
        sys.exit(REFUSED)


_prove_confined()

LANDLOCK = os.environ.get("TIER") == "landlock"
WORKSPACE = os.getcwd()
X86 = os.uname().machine == "x86_64"
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long


def seen(path):
    """Whether there is anything to be had at ``path``. Without namespaces a name may be found out, but not opened, and
    a container engine hides files behind the null device."""
    if not LANDLOCK:
        return os.path.lexists(path)
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return False
    device = os.fstat(fd).st_rdev
    os.close(fd)
    return device != os.makedev(1, 3)


def held(note=""):
    print(f"held {note}".strip())
    sys.exit(0)


def breach(note):
    print(f"breach: {note}")
    sys.exit(1)


def syscall(x86, arm, *args):
    """Errno of a raw system call, 0 for success."""
    number = x86 if X86 else arm
    if number is None:
        return errno.EPERM
    padded = [ctypes.c_long(arg) if isinstance(arg, int) else arg for arg in args]
    result = libc.syscall(ctypes.c_long(number), *padded)
    return ctypes.get_errno() if result < 0 else 0


def must_fail(**calls):
    """Each value is an errno (from ``syscall``) or something callable that must raise OSError."""
    for name, outcome in calls.items():
        if callable(outcome):
            try:
                outcome()
            except OSError:
                continue
            breach(name)
        if outcome == 0:
            breach(name)
    held()
