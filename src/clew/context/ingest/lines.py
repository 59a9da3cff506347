"""JSON lines into a collection, each a document of its own."""

import struct
from codecs import BOM_UTF8
from pathlib import Path
from typing import Any

import msgspec

from clew.context.collection import Collection
from clew.context.graph.extract import extract
from clew.context.ingest.report import NO_TEXT, Options, Report, Told, Writing
from clew.context.log.port import Bounds
from clew.context.log.rules import ready
from clew.core.errors import UsageError
from clew.gate.ports.context import Put, Relation

_MOST_LINE = 16 * 1024 * 1024


class _Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: str
    text: str = ""
    metadata: dict[str, Any] = {}
    vector: list[float] = []
    embedder: str = ""
    relations: tuple[Relation, ...] = ()


def bring_in_lines(collection: Collection, path: Path, options: Options, told: Told, report: Report) -> None:
    """Lines of ``{id, text, metadata?, vector?, embedder?, relations?}``. Raises UsageError that names the line."""
    writing, count = Writing(collection, report), 0
    try:
        opened = path.open("rb")
    except OSError as error:
        raise UsageError(f"cannot read {str(path)!r}: {error.strerror}") from None
    with opened as file:
        for number, line in enumerate(iter(lambda: file.readline(_MOST_LINE), b""), 1):
            given = line.removeprefix(BOM_UTF8) if number == 1 else line
            if given.strip():
                report.files += not count
                count += 1
                where = f"{path.name}:{number}"
                if writing.take([_document(given, where, options, collection.log.bounds)]):
                    told(report, where)
    writing.flush()
    if not count:
        report.pass_over(NO_TEXT, path.name)
    told(report, path.name)


def _document(line: bytes, where: str, options: Options, bounds: Bounds) -> Put:
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
    metadata = given.metadata | {"tags": list(options.tags)} if options.tags else given.metadata
    put = Put(
        id=given.id, text=given.text, metadata=metadata, vector=vector, embedder=given.embedder,
        relations=given.relations or (extract(given.id, given.text) if options.graph else ()), origin=options.origin,
    )  # fmt: skip
    try:
        ready([put], bounds)
    except UsageError as error:
        raise UsageError(f"{where}: {error.message}", hint=error.hint) from None
    return put
