"""The file system a command sees: a read-only skeleton made once per sandbox, private parts made for each command.

The runner's own root becomes a tmpfs with ``/new`` (the skeleton) and ``/old`` (the host). A command's process
pivots into a copy of ``/new`` and detaches the rest (the way of bubblewrap, LGPL, re-done from its description).
"""

import os
from pathlib import Path

from . import kernel
from .identity import Identity, SetupError

NEW = "/new"
OLD = "/old"
OLD_PROC = "/old/proc"
WORKSPACE = "/workspace"

_READ_ONLY = kernel.MOUNT_ATTR_RDONLY | kernel.MOUNT_ATTR_NOSUID | kernel.MOUNT_ATTR_NODEV
_PLAIN = kernel.MS_NOSUID | kernel.MS_NODEV
_SYSTEM = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32")
_DEVICES = ("null", "zero", "full", "random", "urandom")
_ETC_FILES = ("ld.so.cache", "ld.so.conf", "localtime", "timezone", "mime.types", "os-release", "debian_version")
_ETC_TREES = ("alternatives", "ld.so.conf.d", "ssl/certs")
_ETC_WRITTEN = {
    "passwd": "root:x:0:0::/nonexistent:/bin/false\nsandbox:x:1000:1000::/workspace:/bin/sh\n"
    "nobody:x:65534:65534::/nonexistent:/bin/false\n",
    "group": "root:x:0:\nsandbox:x:1000:\nnogroup:x:65534:\n",
    "hosts": "127.0.0.1 localhost sandbox\n::1 localhost\n",
    "hostname": "sandbox\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
}
_ETC_FILE_LIMIT = 1024 * 1024
_LINKS = {"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2"}
_RESERVED = ("/", "/proc", "/dev", "/sys", "/old", "/new", WORKSPACE)
_INODE_BYTES = 4096
_TMP_LIMIT = 128 * 1024 * 1024
_SHM_LIMIT = 64 * 1024 * 1024


def build_skeleton(identity: Identity, mounts: list[tuple[str, str]], workspace: int) -> None:
    """Make ``/new`` for ``identity``. ``mounts``: (source on the host, target); ``workspace``: its size in bytes."""
    kernel.mount("none", "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
    kernel.mount("tmpfs", "/tmp", "tmpfs", _PLAIN, "size=16m,mode=0755")  # noqa: S108 - any directory that exists
    os.chdir("/tmp")  # noqa: S108
    Path("new").mkdir()
    Path("old").mkdir()
    kernel.pivot_root(".", "old")
    os.chdir("/")
    kernel.mount("tmpfs", NEW, "tmpfs", _PLAIN, "size=16m,nr_inodes=16384,mode=0755")
    for name in ("proc", "dev", "tmp", "etc", "workspace", "dev/shm"):
        Path(NEW, name).mkdir()
    _show_system()
    _show_devices()
    _show_etc()
    for source, target in sorted(mounts, key=lambda pair: (pair[1].count("/"), pair[1])):
        _show(source, target)
    kernel.mount("tmpfs", NEW + WORKSPACE, "tmpfs", _PLAIN, tmpfs_options(workspace, identity))
    kernel.mount_attributes(NEW, _READ_ONLY, recursive=False)


def check_readable(mounts: list[tuple[str, str]]) -> None:
    """Whether the user that commands run as can use the mounts at all; raises SetupError."""
    for source, target in mounts:
        path = NEW + target
        needed = os.R_OK | (os.X_OK if Path(path).is_dir() else 0)
        if not os.access(path, needed):
            raise SetupError(
                f"mount {source}: not readable by the sandbox's user (uid {os.getuid()})",
                f"commands never run as root; chmod -R o+rX {source}",
                mount=True,
            )


def tmpfs_options(size: int, identity: Identity) -> str:
    inodes = max(1024, size // _INODE_BYTES)
    return f"size={size},nr_inodes={inodes},mode=0700,uid={identity.uid},gid={identity.gid}"


def enter(identity: Identity, targets: list[str], workspace: int) -> None:
    """In the command's own mount and pid namespaces: add the private parts, make the copy of ``/new`` the only root."""
    kernel.mount(NEW, NEW, None, kernel.MS_BIND | kernel.MS_REC)
    kernel.mount("proc", NEW + "/proc", "proc", _PLAIN | kernel.MS_NOEXEC, "subset=pid")
    temporary = [target for target in targets if target.startswith("/tmp/")]  # noqa: S108 - a path inside
    kept = [(os.open(NEW + target, os.O_PATH | os.O_CLOEXEC), target) for target in temporary]
    size = min(workspace, _TMP_LIMIT)
    kernel.mount("tmpfs", NEW + "/tmp", "tmpfs", _PLAIN, tmpfs_options(size, identity))  # noqa: S108
    size = min(workspace, _SHM_LIMIT)
    kernel.mount("tmpfs", NEW + "/dev/shm", "tmpfs", _PLAIN, tmpfs_options(size, identity))  # noqa: S108
    for fd, target in kept:
        _mount_point(target, Path(f"{OLD_PROC}/self/fd/{fd}").is_dir())
        kernel.mount(f"{OLD_PROC}/self/fd/{fd}", NEW + target, None, kernel.MS_BIND | kernel.MS_REC)
        os.close(fd)
    os.chdir(NEW)
    kernel.pivot_root(".", ".")
    kernel.unmount(".")
    os.chdir("/")


def _show_system() -> None:
    for name in _SYSTEM:
        host, inside = Path(OLD, name), Path(NEW, name)
        if host.is_symlink():
            inside.symlink_to(host.readlink())
        elif host.is_dir():
            inside.mkdir()
            _bind(str(host), str(inside))


def _show_devices() -> None:
    for name in _DEVICES:
        inside = Path(NEW, "dev", name)
        inside.touch()
        kernel.mount(f"{OLD}/dev/{name}", str(inside), None, kernel.MS_BIND)
        kernel.mount_attributes(str(inside), _READ_ONLY & ~kernel.MOUNT_ATTR_NODEV | kernel.MOUNT_ATTR_NOEXEC)
    for name, link in _LINKS.items():
        Path(NEW, "dev", name).symlink_to(link)


def _show_etc() -> None:
    for name, text in _ETC_WRITTEN.items():
        Path(NEW, "etc", name).write_text(text)
    for name in _ETC_FILES:
        host = Path(OLD, "etc", name)
        if host.is_symlink() and str(host.readlink()).startswith("/usr/"):
            Path(NEW, "etc", name).symlink_to(host.readlink())
        elif not host.is_symlink() and host.is_file() and host.stat().st_size <= _ETC_FILE_LIMIT:
            Path(NEW, "etc", name).write_bytes(host.read_bytes())
    for name in _ETC_TREES:
        if Path(OLD, "etc", name).is_dir():
            Path(NEW, "etc", name).mkdir(parents=True)
            _bind(f"{OLD}/etc/{name}", f"{NEW}/etc/{name}")


def _show(source: str, target: str) -> None:
    if os.path.normpath(target) in _RESERVED or target.startswith(("/proc/", "/dev/", "/sys/", WORKSPACE + "/")):
        raise SetupError(f"mount target {target}: reserved", "choose a directory of its own", mount=True)
    host = OLD + source
    try:
        is_dir = Path(host).is_dir()
        Path(host).stat()
        _mount_point(target, is_dir)
        _bind(host, NEW + target)
    except OSError as error:
        raise SetupError(
            f"mount {source} at {target}: {error.strerror}",
            "the source must exist and be readable by the engine",
            mount=True,
        ) from None


def _mount_point(target: str, is_dir: bool) -> None:
    """Make ``target`` below ``/new`` without following links, which a mounted tree may hold."""
    path = Path(NEW)
    parts = target.strip("/").split("/")
    for depth, part in enumerate(parts):
        path /= part
        if path.is_symlink():
            link = str(path)[len(NEW) :]
            raise SetupError(f"mount target {target}: {link} is a link", "name where the link points", mount=True)
        if path.exists():
            continue
        if depth == len(parts) - 1 and not is_dir:
            path.touch()
        else:
            path.mkdir()


def _bind(host: str, inside: str) -> None:
    kernel.mount(host, inside, None, kernel.MS_BIND | kernel.MS_REC)
    kernel.mount_attributes(inside, _READ_ONLY)
