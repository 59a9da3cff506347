"""Finds and reads the files of a project, and never leaves its directory.

Every path is resolved and must lie in the project after that, so neither ``..`` nor a symbolic link leads out. Sizes are
checked before reading, and only regular files are opened.
"""

import hashlib
import stat
from pathlib import Path as FilePath
from typing import NamedTuple

from clew.manifest.models.project import SECTIONS
from clew.manifest.problems import Mark, Path, Problems, closest, one_of, shown
from clew.manifest.read import MAX_BYTES, Located, read

WHOLE = "clew"
SUFFIXES = (".yaml", ".yml", ".json")
_MAX_FILES = 10_000


class Found(NamedTuple):
    """A section: where its name stands and what it holds."""

    mark: Mark
    located: Located


class Sources:
    """The files of one project. ``digests``: relative path -> SHA-256 of every file that was read."""

    def __init__(self, root: FilePath, problems: Problems) -> None:
        self.root = root
        self._real = root
        self._problems = problems
        self.digests: dict[str, str] = {}

    def bytes_of(self, relative: str, mark: Mark, path: Path) -> bytes | None:
        """Content of a project file that ``mark`` and ``path`` refer to, or ``None`` with a problem noted there."""
        try:
            real = self.inside(relative)
            if real is None:
                self._problems.add(mark, path, "outside", f"{shown(relative)} leads out of the project directory")
                return None
            info = real.stat()
            if not stat.S_ISREG(info.st_mode):
                self._problems.add(mark, path, "file", f"{shown(relative)} is not a file")
                return None
            if info.st_size > MAX_BYTES:
                size = f"{info.st_size / 2**20:.1f} MiB"
                self._problems.add(mark, path, "size", f"{shown(relative)} has {size}; at most 1 MiB is read")
                return None
            with real.open("rb") as file:
                data = file.read(MAX_BYTES + 1)[:MAX_BYTES]
        except FileNotFoundError:
            self._problems.add(mark, path, "file", f"there is no file {shown(relative)}")
            return None
        except (OSError, ValueError, RuntimeError) as error:
            why = getattr(error, "strerror", None) or str(error)
            self._problems.add(mark, path, "file", f"{shown(relative)} cannot be read: {why}")
            return None
        self.digests[relative] = hashlib.sha256(data).hexdigest()
        return data

    def inside(self, relative: str) -> FilePath | None:
        """The real path, or ``None`` when it leads out of the project. Raises OSError, ValueError, RuntimeError."""
        if relative.startswith(("/", "~")) or "\\" in relative or ".." in relative.split("/"):
            return None
        real = (self._real / relative).resolve()
        return real if real.is_relative_to(self._real) else None

    def sections(self) -> dict[str, Found] | None:
        """Every section that is given and can be read, ``None`` when there is no project; problems are noted."""
        found: dict[str, Found] = {}
        names = self._names()
        if names is None:
            return None
        for name in names:
            stem, suffix = FilePath(name).stem, FilePath(name).suffix
            if suffix not in SUFFIXES:
                continue
            if stem == WHOLE or stem in SECTIONS:
                self._read_manifest(name, stem, found)
            elif meant := closest(stem, [*SECTIONS, WHOLE]):
                message = "is not read: no section has this name"
                self._problems.add(Mark(name), (), "stray_file", message, suggestion=meant + suffix, severity="warning")
        return found

    def _names(self) -> list[str] | None:
        try:
            self._real = self.root.resolve()
            if not self.root.exists():
                self._problems.add(Mark(str(self.root)), (), "project", "there is no such directory")
                return None
            if not self.root.is_dir():
                self._problems.add(Mark(str(self.root)), (), "project", "is not a directory")
                return None
            names: list[str] = []
            for entry in self.root.iterdir():
                names.append(entry.name)
                if len(names) > _MAX_FILES:
                    message = f"holds more than {_MAX_FILES} files; is this a project directory?"
                    self._problems.add(Mark(str(self.root)), (), "project", message)
                    return None
        except (OSError, ValueError, RuntimeError) as error:
            why = getattr(error, "strerror", None) or str(error)
            self._problems.add(Mark(repr(str(self.root))[1:-1]), (), "project", f"cannot be read: {why}")
            return None
        # clew.* first: a section that is given twice is then reported at its own file.
        return sorted(names, key=lambda name: (not name.startswith(WHOLE + "."), name))

    def _read_manifest(self, name: str, stem: str, found: dict[str, Found]) -> None:
        data = self.bytes_of(name, Mark(name), ())
        if data is None:
            self._unreadable(stem, name, found)
            return
        before = len(self._problems)
        located = read(data, name, () if stem == WHOLE else (stem,), self._problems)
        if located is None:
            if len(self._problems) == before:
                self._problems.add(Mark(name, 1, 1), (), "empty", "is empty")
            self._unreadable(stem, name, found)
        elif stem == WHOLE:
            self._whole(located, found)
        else:
            value = located.value
            if isinstance(value, dict) and list(value) == [stem]:  # the section's own name as the only key
                located = value[stem][1]
            self._give(stem, Found(Mark(name, 1, 1), located), found)

    def _unreadable(self, stem: str, name: str, found: dict[str, Found]) -> None:
        """Says nothing further about sections that may stand in a file that cannot be read."""
        for section in SECTIONS if stem == WHOLE else (stem,):
            found.setdefault(section, Found(Mark(name), UNREADABLE))

    def _whole(self, located: Located, found: dict[str, Found]) -> None:
        if not isinstance(located.value, dict):
            found_text = shown(located.plain())
            self._problems.add(located.mark, (), "value", found=found_text, expected="a mapping of sections")
            self._unreadable(WHOLE, located.mark.file, found)
            return
        for key, (mark, child) in located.value.items():
            if key in SECTIONS:
                self._give(key, Found(mark, child), found)
            else:
                suggestion = closest(key, [name for name in SECTIONS if name not in located.value])
                self._problems.add(
                    mark,
                    (key,),
                    "unknown_key",
                    found="an unknown key",
                    expected=one_of(SECTIONS, limit=30),
                    suggestion=suggestion,
                )
                if suggestion:
                    found.setdefault(suggestion, Found(mark, UNREADABLE))

    def _give(self, section: str, given: Found, found: dict[str, Found]) -> None:
        first = found.get(section)
        if first is not None and first.located is not UNREADABLE:
            message = f"the section is given twice; first at {first.mark}"
            self._problems.add(given.mark, (section,), "section_twice", message)
        else:
            found[section] = given


UNREADABLE = Located(None, Mark(""))
"""Stands for a section that is there but cannot be read."""
