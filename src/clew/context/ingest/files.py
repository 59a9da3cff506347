"""Files and folders into a collection, one write for a file or more: whatever ended it, the next time goes on from there."""

import struct
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from clew.context.collection import Collection
from clew.context.graph.extract import extract
from clew.context.ingest.folders import Gone, gone, mark, walked
from clew.context.ingest.readers import LARGEST, Unreadable, kind_of, read
from clew.core.errors import UsageError
from clew.gate.ports.context import Change, Put, Relation, Remove

_BATCH = 256
"""Documents after which what was read is written."""
_SAME = ("path", "folder", "kind", "digest", "tags")
"""What a document says of its file."""
_MOST_LINE = 16 * 1024 * 1024


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """``origin``: who imports; ``graph``: relations are extracted; ``prune``: documents of files that are gone are removed."""

    tags: tuple[str, ...] = ()
    origin: str = "import"
    graph: bool = True
    prune: bool = False


class Report(msgspec.Struct, kw_only=True):
    """``documents``: written anew; ``unchanged``: files that are there as they are; ``skipped``: ``{path, why}``."""

    files: int = 0
    documents: int = 0
    removed: int = 0
    unchanged: int = 0
    skipped: list[dict[str, str]] = []


Told = Callable[[Report, str], None]
"""Told after each file: the report so far, and the file."""


class Given(msgspec.Struct, frozen=True):
    """A file that is to be read. ``root``: name of the folder, or of the file, that was given; ``below``: its path in that
    ``folder``, or empty; ``mark``: which folder it is, whatever others of that name there are."""

    root: str
    below: str
    folder: Path
    mark: str
    path: Path


def found(paths: Sequence[Path]) -> list[Given]:
    """Every file that is to be read, once. Links are not followed. Raises UsageError for a path that is not there."""
    files: dict[Path, Given] = {}
    for given in paths:
        whole = _resolved(given)
        if whole.is_dir():
            which = mark(whole)
            for path in walked(whole):
                files.setdefault(path, Given(whole.name, path.relative_to(whole).as_posix(), whole, which, path))
        elif whole.is_file():
            files.setdefault(whole, Given(whole.name, "", whole.parent, mark(whole.parent), whole))
        else:
            raise UsageError(f"there is no file or folder {str(given)!r:.300}")
    return sorted(files.values(), key=lambda one: (one.root, one.mark, one.below))


def bring_in(collection: Collection, files: Sequence[Given], options: Options, told: Told) -> Report:
    """Read what has changed and write it; pieces that a file no longer has are removed, and last what is to be pruned.

    Documents are named ``folder/path#piece``, or ``file#piece``; of another folder of the same name, ``folder~mark/path#piece``.
    """
    report, waiting = Report(), list[Change]()
    names: dict[tuple[str, bool, str], str] = {}
    for given in files:
        root = (given.root, bool(given.below), given.mark)
        if root not in names:
            names[root] = _free(collection, given, {name for (_, below, _), name in names.items() if below == root[1]})
        name = f"{names[root]}/{given.below}" if given.below else names[root]
        try:
            changes = _changes(collection, name, given, options)
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
    if options.prune:
        for folder in dict.fromkeys(given.folder for given in files if given.below):
            removals = [Remove(id=one, origin=options.origin) for one in gone(collection, folder).sure]
            for start in range(0, len(removals), _BATCH):
                _written(collection, removals[start : start + _BATCH], report)
    return report


def left_behind(collection: Collection, paths: Sequence[Path]) -> Gone:
    """Documents whose files are gone, of the folders among these paths. Raises UsageError for a path that is not there."""
    found = [gone(collection, folder) for folder in dict.fromkeys(map(_resolved, paths)) if folder.is_dir()]
    return Gone([name for one in found for name in one.sure], [name for one in found for name in one.unsure])


def _resolved(path: Path) -> Path:
    try:
        return path.resolve(strict=True)
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links is a RuntimeError, a NUL a ValueError
        why = f": {error.strerror}" if isinstance(error, OSError) and error.strerror else ""
        raise UsageError(f"there is no file or folder {str(path)!r:.300}{why}") from None


def _free(collection: Collection, given: Given, taken: set[str]) -> str:
    """What a given folder or file is called: by its name, unless another one has that, or had it when this one came."""
    name, own, end = given.root, f"{given.root}~{given.mark}", "/" if given.below else "#"
    if not _text(name):
        return name
    other = name in taken or _owner(collection, name + end) not in ("", given.mark)
    return own if other or _owner(collection, own + end) else name


def _owner(collection: Collection, prefix: str) -> str:
    """The mark of the folder whose documents have ids that begin like this; empty: of none."""
    for name in collection.log.ids(prefix):
        version = collection.get(name)
        if version is not None and isinstance(mark := version.metadata.get("folder"), str):
            return mark
    return ""


def _text(name: str) -> bool:
    return not any("\ud800" <= one <= "\udfff" for one in name)


def is_lines(path: Path) -> bool:
    """A file of JSON lines, by its name. Raises UsageError for a path that is not there."""
    return path.suffix == ".jsonl" and not _resolved(path).is_dir()


def bring_in_lines(collection: Collection, path: Path, options: Options, told: Told) -> Report:
    """JSON lines ``{id, text, metadata?, vector?, embedder?, relations?}``. Raises UsageError that names the line."""
    report, waiting = Report(files=1), list[Change]()
    try:
        opened = path.open("rb")
    except OSError as error:
        raise UsageError(f"cannot read {str(path)!r}: {error.strerror}") from None
    with opened as file:
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
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
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


def _changes(collection: Collection, name: str, given: Given, options: Options) -> list[Change]:
    """What makes the collection's documents those of the file; none: they are."""
    if not _text(name):
        raise Unreadable("its name is no UTF-8 text")
    size = given.path.stat().st_size
    if size > LARGEST:
        raise Unreadable(f"{size:,} bytes; {LARGEST:,} at most are read")
    data = given.path.read_bytes()
    path = given.below or given.root
    told: dict[str, Any] = {
        "path": path, "folder": given.mark, "kind": kind_of(path), "digest": sha256(data).hexdigest()[:32],
    }  # fmt: skip
    if options.tags:
        told["tags"] = list(options.tags)
    first = collection.get(f"{name}#0")
    if first is not None and {key: value for key, value in first.metadata.items() if key in _SAME} == told:
        return []  # all pieces of a file are written together
    pieces = read(path, data)
    changes: list[Change] = []
    for number, piece in enumerate(pieces):
        metadata = told | {"title": piece.title, "line": piece.line, "part": number, "parts": len(pieces)}
        relations = extract(path, piece.text, path) if options.graph else ()
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
