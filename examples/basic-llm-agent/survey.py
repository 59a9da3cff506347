"""The facts of a directory: counted, never guessed, bounded, and the same for the same files."""

import sys
from collections import Counter, OrderedDict
from contextlib import suppress
from threading import Lock
from typing import Any

from sources import FileFacts, describe, is_test
from tree import MOST_BYTES, Walk, opened, read, shown

from clew.core.identity import digest

SHOWN = 20
_README = 600
_KEPT = 50_000
_UNKNOWN = object()


def survey(args: dict[str, Any], context: Any) -> dict[str, Any]:
    """All facts, with ``digest`` over them."""
    with opened(args["tree"]) as root:
        facts = _Survey(root).facts()
    return {**facts, "digest": digest(facts)}


class _Known:
    """Facts of files by the identity of their content, so that looking again costs no more than reading."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple, FileFacts | None] = OrderedDict()
        self._lock = Lock()

    def get(self, key: tuple) -> FileFacts | object | None:
        with self._lock:
            return self._known.get(key, _UNKNOWN)

    def put(self, key: tuple, value: FileFacts | None) -> None:
        with self._lock:
            self._known[key] = value
            while len(self._known) > _KEPT:
                self._known.popitem(last=False)


_known = _Known()


class _Survey:
    def __init__(self, root: int) -> None:
        self._root = root
        self._walk = Walk(root)
        self._read: dict[str, FileFacts] = {}
        self._binary = self._unreadable = self._too_much = 0
        self._readme = None
        self._room = MOST_BYTES
        for found in self._walk.files:
            self._look(found.path, found.size)

    def _look(self, path: str, size: int) -> None:
        if size > self._room:
            self._too_much += 1
            return
        try:
            identity, data = read(self._root, path)
        except OSError:
            self._unreadable += 1
            return
        self._room -= size
        if data is None:
            self._too_much += 1
            return
        facts = _known.get((path, *identity))
        if facts is _UNKNOWN:
            facts = describe(path, data)
            _known.put((path, *identity), facts)
        if facts is None:
            self._binary += 1
            return
        self._read[path] = facts
        if "/" not in path and path.lower().startswith("readme") and self._readme is None:
            self._readme = {"path": shown(path), **_begins(data.decode("utf-8", "replace"))}

    def facts(self) -> dict:
        walk, sizes = self._walk, {found.path: found.size for found in self._walk.files}
        lines = sum(facts.lines for facts in self._read.values())
        return {
            "size": {
                "files": len(walk.files), "folders": len(walk.directories), "links": walk.links,
                "bytes": sum(sizes.values()), "text_files": len(self._read), "lines": lines,
                "binary_files": self._binary, "truncated": walk.truncated,
            },
            "languages": self._languages(sizes, lines),
            "imports": self._imports(),
            "largest": self._largest(sizes),
            "entry_points": self._entries(),
            "tests": self._tests(),
            "structure": self._structure(),
            "purpose": self._readme,
            "left_out": {
                "names": sorted(walk.left_out), "too_large_to_read": self._too_much, "unreadable_files": self._unreadable,
                "unreadable_directories": walk.unreadable_directories(), "further_files": walk.truncated,
            },
        }  # fmt: skip

    def _languages(self, sizes: dict[str, int], lines: int) -> list:
        files, counted, size = Counter(), Counter(), Counter()
        for path, facts in self._read.items():
            files[facts.language] += 1
            counted[facts.language] += facts.lines
            size[facts.language] += sizes[path]
        order = sorted(files, key=lambda name: (-counted[name], name))
        return [
            {
                "language": name, "files": files[name], "lines": counted[name], "bytes": size[name],
                "percent_of_lines": round(100 * counted[name] / lines, 1) if lines else 0,
            }
            for name in order
        ][:SHOWN]  # fmt: skip

    def _imports(self) -> dict:
        """By the number of files that import a module. Local: found where Python would look for it from that file."""
        places = _places(self._read)
        kinds: dict[str, Counter] = {"local": Counter(), "standard": Counter(), "third_party": Counter()}
        python = [(path, facts) for path, facts in self._read.items() if facts.language == "Python"]
        for path, facts in python:
            for name in facts.imports:
                kinds[_kind(name, path, places)][name] += 1
        found = {"python_files": len(python)}
        for kind, counter in kinds.items():
            top = sorted(counter.items(), key=lambda item: (-item[1], item[0]))[:SHOWN]
            found[kind] = {"modules": len(counter), "most_used": [{"module": m, "files": n} for m, n in top]}
        return found

    def _largest(self, sizes: dict[str, int]) -> list:
        top = sorted(sizes.items(), key=lambda item: (-item[1], item[0]))[:10]
        return [
            {
                "path": shown(path),
                "bytes": size,
                **({"lines": self._read[path].lines} if path in self._read else {}),
            }
            for path, size in top
        ]

    def _entries(self) -> dict:
        found = [{"path": shown(path), "why": why} for path, facts in self._read.items() for why in facts.entries]
        return {"count": len(found), "first": found[:SHOWN]}

    def _tests(self) -> dict:
        files = [path for path in self._read if is_test(path)]
        functions = sum(self._read[path].tests for path in files)
        return {"files": len(files), "functions": functions, "first": [shown(path) for path in files[:SHOWN]]}

    def _structure(self) -> dict:
        below: Counter = Counter(found.path.partition("/")[0] for found in self._walk.files if "/" in found.path)
        folders = sorted(path for path in self._walk.directories if "/" not in path)
        loose = [found.path for found in self._walk.files if "/" not in found.path]
        return {
            "folders": len(folders), "loose_files": len(loose),
            "first_folders": [{"folder": shown(name), "files": below[name]} for name in folders[:SHOWN]],
            "first_files": [shown(name) for name in loose[:SHOWN]],
        }  # fmt: skip


def _places(read: dict[str, FileFacts]) -> tuple[set[str], set[str]]:
    """Modules and folders with Python in them, by path without ``.py``; and the folders that are packages."""
    modules, packages = set(), set()
    for path in read:
        if path.endswith((".py", ".pyi")):
            modules.add(path.rpartition(".")[0])
            folder = path.rpartition("/")[0]
            if path.endswith("__init__.py"):
                packages.add(folder)
            while folder and folder not in modules:
                modules.add(folder)
                folder = folder.rpartition("/")[0]
    return modules, packages


def _kind(name: str, path: str, places: tuple[set[str], set[str]]) -> str:
    """Standard before local, as Python resolves them; a package's own folder is no place to look in."""
    modules, packages = places
    if name.startswith("."):
        return "local"
    if name in sys.stdlib_module_names or name == "__main__":
        return "standard"
    folder = path.rpartition("/")[0]
    around = [folder]
    while folder:
        folder = folder.rpartition("/")[0]
        around.append(folder)
    roots = [root for place in around if place not in packages for root in (place, f"{place}/src", f"{place}/lib")]
    return "local" if any(f"{root}/{name}".lstrip("/") in modules for root in roots) else "third_party"


def _begins(text: str) -> dict[str, str]:
    """Title and first paragraph of a readme, word for word."""
    title, paragraph = "", ""
    with suppress(StopIteration):
        lines = iter(line.strip() for line in text[:20_000].splitlines())
        while not paragraph:
            line = next(lines)
            if line.startswith("#") or (not title and line):
                title = title or line.lstrip("# ")[:120]
            elif line and line[0].isalnum():
                while line:
                    paragraph += f" {line}"
                    line = next(lines)
    return {"title": shown(title), "text": shown(paragraph.strip()[:_README])}
