"""Files and folders into a collection, one write for a file or more: whatever ended it, the next time goes on from there."""

import os
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from clew.context.collection import Collection
from clew.context.graph.extract import extract
from clew.context.ingest.readers import LARGEST, Unreadable, kind_of, read
from clew.core.errors import UsageError
from clew.gate.ports.context import Change, Put, Relation, Remove

SKIPPED = frozenset(
    ["node_modules", "__pycache__", "venv", "site-packages", "dist", "build", "target", "vendor", "coverage", "htmlcov"]
)
"""Folders that are passed over, besides those whose names begin with a dot."""
_BATCH = 256
"""Documents after which what was read is written."""
_SAME = ("path", "kind", "digest", "tags")
"""What a document says of its file."""
_MOST_LINE = 16 * 1024 * 1024


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """``origin``: who imports; ``graph``: relations are extracted."""

    tags: tuple[str, ...] = ()
    origin: str = "import"
    graph: bool = True


class Report(msgspec.Struct, kw_only=True):
    """``documents``: written anew; ``unchanged``: files that are there as they are; ``skipped``: ``{path, why}``."""

    files: int = 0
    documents: int = 0
    removed: int = 0
    unchanged: int = 0
    skipped: list[dict[str, str]] = []


Told = Callable[[Report, str], None]
"""Told after each file: the report so far, and the file."""


def found(paths: Sequence[Path]) -> list[tuple[str, Path]]:
    """Every file that is to be read, with the name that its documents have: relative to the folder that was given, or its own.

    Links are not followed. Raises UsageError for a path that is not there, and for two files of one name.
    """
    files: dict[str, Path] = {}
    for given in paths:
        if given.is_dir():
            named = [(path.relative_to(given).as_posix(), path) for path in _walked(given)]
        elif given.is_file():
            named = [(given.name, given)]
        else:
            raise UsageError(f"there is no file or folder {str(given)!r}")
        for name, path in named:
            if not files.setdefault(name, path).samefile(path):
                raise UsageError(
                    f"{str(files[name])!r} and {str(path)!r} would both be {name!r}",
                    hint="import the folder that both are in, or each into a scope of its own",
                )
    return sorted(files.items())


def bring_in(collection: Collection, files: Sequence[tuple[str, Path]], options: Options, told: Told) -> Report:
    """Read what has changed and write it; pieces that a file no longer has are removed."""
    report, waiting = Report(), list[Change]()
    for name, path in files:
        try:
            changes = _changes(collection, name, path, options)
        except (Unreadable, OSError) as error:
            why = error.strerror or str(error) if isinstance(error, OSError) else str(error)
            report.skipped.append({"path": name.encode(errors="backslashreplace").decode(), "why": why})
            changes = []
        else:
            report.files += 1
            report.unchanged += not changes
        waiting += changes
        if len(waiting) >= _BATCH:
            _written(collection, waiting, report)
            waiting = []
        told(report, name)
    _written(collection, waiting, report)
    return report


def bring_in_lines(collection: Collection, path: Path, options: Options, told: Told) -> Report:
    """JSON lines ``{id, text, metadata?, vector?, embedder?, relations?}``. Raises UsageError that names the line."""
    report, waiting = Report(files=1), list[Change]()
    with path.open("rb") as file:
        for number, line in enumerate(iter(lambda: file.readline(_MOST_LINE), b""), 1):
            if line.strip():
                waiting.append(_document(line, f"{path.name}:{number}", options))
            if len(waiting) >= _BATCH:
                _written(collection, waiting, report)
                waiting = []
                told(report, f"{path.name}:{number}")
    _written(collection, waiting, report)
    told(report, path.name)
    return report


class _Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: str
    text: str = ""
    metadata: dict[str, Any] = {}
    vector: list[float] = []
    embedder: str = ""
    relations: tuple[Relation, ...] = ()


def _document(line: bytes, where: str, options: Options) -> Put:
    if len(line) >= _MOST_LINE and not line.endswith(b"\n"):
        raise UsageError(f"{where}: the line is longer than {_MOST_LINE:,} bytes", hint="split the document")
    try:
        given = msgspec.json.decode(line, type=_Line)
    except (msgspec.DecodeError, RecursionError) as error:
        raise UsageError(f"{where}: {error}", hint='a line is {"id": …, "text": …, "metadata": {…}}') from None
    try:
        vector = struct.pack(f"<{len(given.vector)}f", *given.vector)
    except OverflowError:
        raise UsageError(f"{where}: a number of the vector is too large for float32") from None
    relations = given.relations or (extract(given.id, given.text) if options.graph else ())
    return Put(
        id=given.id, text=given.text, metadata=_tagged(given.metadata, options), vector=vector,
        embedder=given.embedder, relations=relations, origin=options.origin,
    )  # fmt: skip


def _changes(collection: Collection, name: str, path: Path, options: Options) -> list[Change]:
    """What makes the collection's documents those of the file; none: they are."""
    if any("\ud800" <= one <= "\udfff" for one in name):
        raise Unreadable("its name is no UTF-8 text")
    size = path.stat().st_size
    if size > LARGEST:
        raise Unreadable(f"{size:,} bytes; {LARGEST:,} at most are read")
    data = path.read_bytes()
    told: dict[str, Any] = {"path": name, "kind": kind_of(name), "digest": sha256(data).hexdigest()[:32]}
    if options.tags:
        told["tags"] = list(options.tags)
    first = collection.get(f"{name}#0")
    if first is not None and {key: value for key, value in first.metadata.items() if key in _SAME} == told:
        return []  # all pieces of a file are written together
    pieces = read(name, data)
    changes: list[Change] = []
    for number, piece in enumerate(pieces):
        metadata = told | {"title": piece.title, "line": piece.line, "part": number, "parts": len(pieces)}
        relations = extract(name, piece.text, name) if options.graph else ()
        text = f"{piece.title}\n{piece.text}" if piece.title and piece.title not in piece.text else piece.text
        changes.append(
            Put(id=f"{name}#{number}", text=text, metadata=metadata, relations=relations, origin=options.origin)
        )
    kept = {change.id for change in changes}
    old = [one for one in collection.log.ids(f"{name}#") if one not in kept and one[len(name) + 1 :].isdigit()]
    return [*changes, *(Remove(id=one, origin=options.origin) for one in old)]


def _written(collection: Collection, changes: Sequence[Change], report: Report) -> None:
    if not changes:
        return
    for change, version in zip(changes, collection.write(changes), strict=True):
        if version is not None:
            report.removed += isinstance(change, Remove)
            report.documents += isinstance(change, Put)


def _tagged(metadata: dict[str, Any], options: Options) -> dict[str, Any]:
    return metadata | {"tags": list(options.tags)} if options.tags else metadata


def _walked(folder: Path) -> Iterator[Path]:
    for base, folders, names in os.walk(folder):
        folders[:] = sorted(one for one in folders if not one.startswith(".") and one not in SKIPPED)
        yield from _read_here(Path(base), names)


def _read_here(base: Path, names: Iterable[str]) -> Iterator[Path]:
    for name in sorted(names):
        path = base / name
        if not name.startswith(".") and kind_of(name) and path.is_file() and not path.is_symlink():
            yield path
