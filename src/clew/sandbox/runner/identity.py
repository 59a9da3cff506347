"""Who the runner is: real root becomes an unprivileged user for good, a user becomes root of a namespace of its own."""

import errno
import os
from pathlib import Path
from typing import NamedTuple

from . import kernel

UNPRIVILEGED = (1_963_000_000, 65534)
"""Tried in order when the engine is root: a number outside every range that distributions hand out, then nobody."""
INSIDE = 1000
"""The command's uid and gid as it sees them."""

_RESTRICTIONS = (
    (
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "allow user namespaces to this program in AppArmor",
    ),
    ("/proc/sys/kernel/unprivileged_userns_clone", "0", "sysctl kernel.unprivileged_userns_clone=1"),
    ("/proc/sys/user/max_user_namespaces", "0", "sysctl user.max_user_namespaces=10000"),
)


class Identity(NamedTuple):
    """``uid``/``gid``: whom the surroundings belong to. ``drop``: still root, must become that user before commands run."""

    uid: int
    gid: int
    drop: bool


class SetupError(Exception):
    """Confinement cannot be had, or (``mount``) a profile's mount cannot; ``hint`` is the mend."""

    def __init__(self, message: str, hint: str = "", *, mount: bool = False) -> None:
        super().__init__(message)
        self.hint = hint
        self.mount = mount


def enter_mount_namespace() -> Identity:
    """Get a mount namespace that this process may change. As real root nothing else is kept for later than a drop."""
    if 0 not in os.getresuid() or _is_mapped_user():
        return _enter_as_user()
    uid = _unprivileged_uid()
    try:
        kernel.unshare(kernel.CLONE_NEWNS)
    except OSError as error:
        if error.errno != errno.EPERM:
            raise
        drop_to(Identity(uid, uid, drop=True))  # root without CAP_SYS_ADMIN, as in most containers
        return _enter_as_user()
    return Identity(uid, uid, drop=True)


def unprivileged() -> Identity:
    """Whom commands run as where no namespace is to be had."""
    if 0 not in os.getresuid() or _is_mapped_user():
        return Identity(os.geteuid(), os.getegid(), drop=False)
    uid = _unprivileged_uid()
    return Identity(uid, uid, drop=True)


def drop_to(identity: Identity) -> None:
    """Become the unprivileged user, and prove that there is no way back."""
    try:
        os.setgroups([])
        os.setresgid(identity.gid, identity.gid, identity.gid)
        os.setresuid(identity.uid, identity.uid, identity.uid)
    except PermissionError:
        raise SetupError(
            "the engine is root but may not become another user",
            "run the engine as an ordinary user, or allow CAP_SETUID",
        ) from None
    kernel.clear_capabilities()
    for regain in (lambda: os.setresuid(0, 0, 0), lambda: os.setresgid(0, 0, 0), lambda: os.setgroups([0])):
        try:
            regain()
        except PermissionError:
            continue
        raise SetupError("root could be regained after it was given up")
    # Changing the uid made this process undumpable, which hands its /proc files (uid_map) to root.
    kernel.set_dumpable(True)


def map_ids(uid: int, gid: int, inside_uid: int, inside_gid: int, proc: str) -> None:
    """Map one id each in the user namespace just entered; ``proc`` is where the process finds itself."""
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{inside_uid} {uid} 1"),
        ("gid_map", f"{inside_gid} {gid} 1"),
    ):
        kernel.write_file(f"{proc}/self/{name}", text)


def _enter_as_user() -> Identity:
    identity = Identity(os.geteuid(), os.getegid(), drop=False)
    try:
        kernel.unshare(kernel.CLONE_NEWUSER | kernel.CLONE_NEWNS)
        map_ids(identity.uid, identity.gid, identity.uid, identity.gid, "/proc")
    except OSError as error:
        raise SetupError(f"user namespaces are not allowed here: {error}", _mend()) from None
    return identity


def _mend() -> str:
    for path, value, mend in _RESTRICTIONS:
        try:
            if Path(path).read_text().strip() == value:
                return mend
        except OSError:
            continue
    return "in a container, allow unshare, mount and pivot_root in its seccomp profile, or run the engine outside it"


def _is_mapped_user() -> bool:
    """Whether uid 0 is an ordinary user's of an outer namespace who has no other id to drop to."""
    ranges = _mapped_ranges()
    outside = [start for first, start, count in ranges if first <= 0 < first + count]
    return outside != [0] and not any(
        first <= uid < first + count for first, _, count in ranges for uid in UNPRIVILEGED
    )


def _unprivileged_uid() -> int:
    for uid in UNPRIVILEGED:
        if any(first <= uid < first + count for first, _, count in _mapped_ranges()):
            return uid
    raise SetupError("the engine is root and there is no unprivileged uid to drop to", "run the engine as a user")


def _mapped_ranges() -> list[tuple[int, int, int]]:
    """(first id here, first id outside, how many) of this user namespace."""
    lines = Path("/proc/self/uid_map").read_text().splitlines()
    return [(int(first), int(start), int(count)) for first, start, count in (line.split() for line in lines)]
