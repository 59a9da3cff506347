"""A directory that the user named, as tools may reach it: below it only, by a ticket that an agent cannot make up.

Agents choose the arguments of tools, and what stands in files can talk them into anything. So the directory is opened once, by a
deterministic node, and every tool wants the ticket which that gave out: the path with a keyed digest of it.
"""

import hmac
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

from clew import Failure
from clew.gate.beneath import Found, open_beneath, open_regular, walk_beneath
from clew.tools.builtin.list_files import SKIPPED, printable
from clew.tools.validate import file_errors, opened_root

MOST_FILES = 20_000
MOST_BYTES = 128 * 1024 * 1024
MOST_OF_A_FILE = 4 * 1024 * 1024


def open_tree(args: dict[str, Any], context: Any) -> dict[str, Any]:
    """The ticket of a directory; relative ones are looked up from where the run was started."""
    if "\0" in args["directory"]:
        raise Failure("the directory's path holds a NUL byte", code="invalid_path")
    path = Path(args["directory"]).expanduser()
    with file_errors(args["directory"]):
        real = path.resolve(strict=True)
    if not real.is_dir():
        raise Failure(f"{args['directory']} is a file, not a directory", code="not_a_directory")
    if printable(str(real)) != str(real):
        raise Failure("the directory's path is not text", code="invalid_path")
    with opened_root(real) as root:
        next(walk_beneath(root), None)
    return {"tree": f"{real}#{_seal(str(real))}", "name": shown(real.name or "/")}


@contextmanager
def opened(ticket: str) -> Iterator[int]:
    """A descriptor of the directory. Raises Failure(no_such_tree) for a ticket that was not given out on this machine."""
    path, _, seal = ticket.rpartition("#")
    if not hmac.compare_digest(seal.encode(), _seal(path).encode()):
        raise Failure("this is no tree that was opened", code="no_such_tree", hint="give `tree` word for word")
    with opened_root(Path(path)) as root:
        yield root


def _seal(path: str) -> str:
    """Keyed by the machine's id, which machine-id(5) asks to keep confidential and to use hashed, never as it is."""
    key = ""
    with suppress(OSError):
        key = Path("/etc/machine-id").read_text()
    key = key.strip() or str(Path("/").stat().st_ctime_ns)
    return hmac.new(
        key.encode(), f"basic-llm-agent {os.getuid()} {path}".encode("utf-8", "replace"), sha256
    ).hexdigest()[:16]


def shown(text: str) -> str:
    """A name or a line as it can be shown: what is no text or would act on a terminal or a page stands as its code."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in printable(text))


class Walk:
    """What lies below: version control, caches and virtual environments left out, links not followed."""

    def __init__(self, root: int) -> None:
        self._root = root
        self.left_out: set[str] = set()
        self.truncated = False
        self.files: list[Found] = []
        self.directories: list[str] = []
        self.links = 0
        for found in walk_beneath(root, skip=self._skip):
            if found.kind == "directory":
                self.directories.append(found.path)
            elif found.kind == "link":
                self.links += 1
            elif len(self.files) == MOST_FILES:
                self.truncated = True
                break
            else:
                self.files.append(found)

    def unreadable_directories(self) -> int:
        count = 0
        for path in self.directories:
            try:
                os.close(open_beneath(self._root, path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW))
            except OSError:
                count += 1
        return count

    def _skip(self, name: str) -> bool:
        if name in SKIPPED or name == ".hypothesis" or (name.startswith(".") and name.endswith("_cache")):
            self.left_out.add(name)
            return True
        return False


def read(root: int, path: str, most: int = MOST_OF_A_FILE) -> tuple[tuple[int, ...], bytes | None]:
    """A regular file: what identifies its content, and the content; None where it is larger than ``most``."""
    fd = open_regular(root, path)
    try:
        status = os.fstat(fd)
        identity = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        if status.st_size > most:
            return identity, None
        data = bytearray()
        while len(data) <= most and (chunk := os.read(fd, 1 << 20)):
            data += chunk
        return identity, bytes(data) if len(data) <= most else None
    finally:
        os.close(fd)
