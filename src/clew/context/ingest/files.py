"""Files and folders into a collection, one write for a file or more: whatever ended it, the next time goes on from there."""

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from clew.context.collection import Collection
from clew.context.graph.extract import extract_pieces
from clew.context.ingest.folders import Gone, gone, mark, seen
from clew.context.ingest.lines import bring_in_lines
from clew.context.ingest.readers import LARGEST, Reading, Unreadable, kind_of, read
from clew.context.ingest.report import LINES, NO_TEXT, Options, Report, Told, Writing
from clew.core.errors import UsageError
from clew.gate.ports.context import Change, Put, Relation, Remove

_SAME = ("path", "folder", "kind", "digest", "tags")
"""What a document says of its file."""
_EDITION = b"2"
"""Of how files are read: what another one made of them is made anew."""


class Given(msgspec.Struct, frozen=True):
    """A file that is to be read. ``root``: name of the folder, or of the file, that was given; ``below``: its path in that
    ``folder``, or empty; ``mark``: which folder it is, whatever others of that name there are."""

    root: str
    below: str
    folder: Path
    mark: str
    path: Path


class Found(NamedTuple):
    """``lines``: files of JSON lines; ``passed``: kind and path of what is passed over."""

    files: list[Given]
    lines: list[Path]
    passed: list[tuple[str, str]]


def found(paths: Sequence[Path]) -> Found:
    """Every file that is to be read, once. Links are not followed. Raises UsageError for a path that is not there."""
    files: dict[Path, Given] = {}
    lines: dict[Path, Path] = {}
    passed: dict[Path, tuple[str, str]] = {}
    for given in paths:
        whole = _resolved(given)
        if whole.is_dir():
            which = mark(whole)
            for path, kind in seen(whole):
                below = path.relative_to(whole).as_posix()
                if kind:
                    passed.setdefault(path, (kind, f"{whole.name}/{below}"))
                else:
                    files.setdefault(path, Given(whole.name, below, whole, which, path))
        elif given.suffix.lower() == LINES:
            lines.setdefault(whole, given)
        elif whole.is_file():
            files.setdefault(whole, Given(whole.name, "", whole.parent, mark(whole.parent), whole))
        else:
            raise UsageError(f"there is no file or folder {str(given)!r:.300}")
    ordered = sorted(files.values(), key=lambda one: (one.root, one.mark, one.below))
    given_too = lines.keys() | files.keys()
    return Found(ordered, [*lines.values()], [one for path, one in passed.items() if path not in given_too])


def bring_in(collection: Collection, listed: Found, options: Options, told: Told) -> Report:
    """Read what has changed and write it; pieces that a file no longer has are removed, and last what is to be pruned.

    Documents are named ``folder/path#piece``, or ``file#piece``; of another folder of the same name, ``folder~mark/path#piece``.
    Raises UsageError that names a line of JSON that is no document.
    """
    report = Report()
    writing = Writing(collection, report)
    for kind, path in listed.passed:
        report.pass_over(kind, path)
    for path in listed.lines:
        bring_in_lines(collection, path, options, told, report)
    names: dict[tuple[str, bool, str], str] = {}
    for given in listed.files:
        root = (given.root, bool(given.below), given.mark)
        if root not in names:
            names[root] = _free(collection, given, {name for (_, below, _), name in names.items() if below == root[1]})
        name = f"{names[root]}/{given.below}" if given.below else names[root]
        try:
            changes = _changes(collection, name, given, options, report)
        except (Unreadable, OSError) as error:
            report.skip(name, error.strerror or str(error) if isinstance(error, OSError) else str(error))
        else:
            writing.take(changes)
        told(report, name)
    writing.flush()
    if options.prune:
        for folder in dict.fromkeys(given.folder for given in listed.files if given.below):
            for one in gone(collection, folder).sure:
                writing.take([Remove(id=one, origin=options.origin)])
        writing.flush()
    return report


def left_behind(collection: Collection, paths: Sequence[Path]) -> Gone:
    """Documents whose files are gone, of the folders among these paths. Raises UsageError for a path that is not there."""
    each = [gone(collection, folder) for folder in dict.fromkeys(map(_resolved, paths)) if folder.is_dir()]
    return Gone([name for one in each for name in one.sure], [name for one in each for name in one.unsure])


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


def _changes(collection: Collection, name: str, given: Given, options: Options, report: Report) -> list[Change]:
    """What makes the collection's documents those of the file; none: they are. Raises Unreadable, OSError."""
    if not _text(name):
        raise Unreadable("its name is no UTF-8 text")
    size = given.path.stat().st_size
    if size > LARGEST:
        raise Unreadable(f"{size:,} bytes; {LARGEST:,} at most are read")
    data = given.path.read_bytes()
    path = given.below or given.root
    told: dict[str, Any] = {
        "path": path, "folder": given.mark, "kind": kind_of(path), "digest": sha256(_EDITION + data).hexdigest()[:32],
    }  # fmt: skip
    if options.tags:
        told["tags"] = list(options.tags)
    first = collection.get(f"{name}#0")
    if first is not None and {key: value for key, value in first.metadata.items() if key in _SAME} == told:
        report.files += 1
        report.unchanged += 1  # all pieces of a file are written together
        if isinstance(left := first.metadata.get("left"), str):
            report.skip(name, left)
        return []
    reading = read(path, data)
    if reading.left:
        told["left"] = reading.left
        report.skip(name, reading.left)
    if reading.pieces:
        report.files += 1
    else:
        report.pass_over(NO_TEXT, name)
    changes: list[Change] = []
    told["parts"] = len(reading.pieces)
    for number, (piece, relations) in enumerate(zip(reading.pieces, _relations(path, reading, options), strict=True)):
        metadata = told | {"title": piece.title, "line": piece.line, "part": number}
        text = f"{piece.title}\n{piece.text}" if piece.title and piece.title not in piece.text else piece.text
        changes.append(
            Put(id=f"{name}#{number}", text=text, metadata=metadata, relations=relations, origin=options.origin)
        )
    kept = {change.id for change in changes}
    old = [one for one in collection.log.ids(f"{name}#") if one not in kept and one[len(name) + 1 :].isdigit()]
    return [*changes, *(Remove(id=one, origin=options.origin) for one in old)]


def _relations(path: str, reading: Reading, options: Options) -> list[tuple[Relation, ...]]:
    if not options.graph:
        return [()] * len(reading.pieces)
    return extract_pieces(path, reading.text, [(piece.line, piece.text) for piece in reading.pieces])
