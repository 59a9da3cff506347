"""What is in a folder that is imported, and which documents of it are of files that are not there any more."""

import os
import sys
from collections.abc import Iterator
from functools import cache
from hashlib import blake2b
from pathlib import Path, PurePosixPath
from stat import S_IFREG, S_ISLNK, S_ISREG
from typing import NamedTuple

from clew.context.collection import Collection
from clew.context.ingest.readers import kind_of

SKIPPED = frozenset(
    ["node_modules", "__pycache__", "venv", "site-packages", "dist", "build", "target", "vendor", "coverage", "htmlcov"]
)
"""Folders that are passed over, besides those whose names begin with a dot."""


class Gone(NamedTuple):
    """Ids of documents whose files are gone, or are left out by now. ``unsure``: where those were is nothing that can be read, as
    where a disk is not mounted."""

    sure: list[str]
    unsure: list[str]


def mark(folder: Path) -> str:
    """Which folder it is, without saying where."""
    return blake2b(os.fsencode(folder), digest_size=6).hexdigest()


def walked(folder: Path) -> Iterator[Path]:
    """The files below it that are read, and folders that cannot be: reading says why."""
    return (path for path, kind in seen(folder) if not kind)


def seen(folder: Path) -> Iterator[tuple[Path, str]]:
    """What is below it, with the kind of what is passed over, as a report names it; empty for what is read."""
    closed: list[OSError] = []
    for base, folders, names in os.walk(folder, onerror=closed.append):
        here = Path(base)
        kinds = [(one, _folder(here / one)) for one in sorted(folders)]
        folders[:] = [one for one, kind in kinds if not kind]
        yield from ((here / one, kind) for one, kind in kinds if kind)
        yield from ((here / name, _file(here / name)) for name in sorted(names))
    yield from ((Path(error.filename), "") for error in closed)


def gone(collection: Collection, folder: Path) -> Gone:
    """Of the documents that came with this folder (not of files that were given by themselves). No text is read for it."""
    # First: what comes meanwhile is not gone.
    names = collection.newest(sys.maxsize, {"term": {"folder": mark(folder)}})
    there = {path.relative_to(folder).as_posix() for path in walked(folder)}  # with the folders that could not be read
    found, bare = Gone([], []), cache(_bare)
    for name in names:
        file, _, piece = name.rpartition("#")
        _, within, below = file.partition("/")
        if within and piece.isdigit() and below not in there:
            above = PurePosixPath(below).parents
            unsure = not there or any(str(one) in there or bare(folder / one) for one in above)
            (found.unsure if unsure else found.sure).append(name)
    return found


def _bare(folder: Path) -> bool:
    """It is there, but is empty or cannot be read."""
    try:
        with os.scandir(folder) as entries:
            return next(entries, None) is None
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True


def _folder(path: Path) -> str:
    """Why it is passed over; empty: it is not."""
    if path.name.startswith("."):
        return "hidden"
    return "folder" if path.name in SKIPPED else "link" if path.is_symlink() else ""


def _file(path: Path) -> str:
    if path.name.startswith("."):
        return "hidden"
    try:
        mode = path.lstat().st_mode
    except OSError:  # nothing can be said of it
        mode = S_IFREG
    if not S_ISREG(mode):
        return "link" if S_ISLNK(mode) else "no file"
    return "" if kind_of(path.name) else path.suffix.lower() or "no suffix"
