"""A collection's derived indexes as files, and where they are saved: in ``index/``, or a folder in it for each embedder whose
vectors are compared."""

import logging
import shutil
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from clew.context import shelf
from clew.context.columns import Columns
from clew.context.damage import Damaged
from clew.context.dense import DenseIndex
from clew.context.derived import Derived, mark
from clew.context.embed.lsa import Lsa
from clew.context.graph.facts import Facts
from clew.context.log.port import MOST_EMBEDDERS, Log
from clew.context.prints import Prints, check, prints
from clew.context.rows import Rows
from clew.context.sparse import SparseIndex, words
from clew.core.errors import JournalError

logger = logging.getLogger("clew.context")
FORMAT = 6
_OF = "of-"


class _Header(msgspec.Struct, frozen=True, kw_only=True):
    format: int
    seen: int
    attached: int
    last: str
    space: str
    learned: int
    sample: int
    dense: bool
    embedder: bool
    """Whether these two parts were saved."""
    prints: Prints


def write(derived: Derived, folder: Path, previous: Path | None = None) -> None:
    """Into a new folder, that nobody reads before it is whole. ``previous``: what was saved before."""
    folder.mkdir(parents=True)
    derived.rows.save(folder / "rows")
    derived.terms.save(folder / "sparse")
    derived.columns.save(folder / "columns")
    derived.facts.save(folder / "graph")
    if derived.vectors is not None:
        derived.vectors.save(folder / "dense", previous / "dense" if previous is not None else None)
    if isinstance(derived.embedder, Lsa):
        derived.embedder.save(folder / "embedder")
    header = _Header(
        format=FORMAT, seen=derived.seen, attached=derived.attached, last=derived.last, space=derived.space,
        learned=derived.learned, sample=derived.sample, dense=derived.vectors is not None,
        embedder=isinstance(derived.embedder, Lsa), prints=prints(folder),
    )  # fmt: skip
    (folder / "header.json").write_bytes(msgspec.json.encode(header))


def read(folder: Path) -> Derived:
    """What was written there. Raises Damaged."""
    try:
        header = msgspec.json.decode((folder / "header.json").read_bytes(), type=_Header)
    except (OSError, msgspec.DecodeError) as error:
        raise Damaged(f"{folder}: {error}") from error
    if header.format != FORMAT:
        raise Damaged(f"{folder}: format {header.format}")
    check(folder, header.prints)
    derived = Derived(header.space)
    derived.seen, derived.attached, derived.last = header.seen, header.attached, header.last
    derived.learned, derived.sample = header.learned, header.sample
    derived.rows = Rows.load(folder / "rows")
    derived.terms = SparseIndex.load(folder / "sparse")
    derived.columns = Columns.load(folder / "columns")
    derived.facts = Facts.load(folder / "graph")
    if header.dense:
        derived.vectors = DenseIndex.load(folder / "dense")
    if header.embedder:
        derived.embedder = Lsa.load(folder / "embedder", words)
    _agree(derived, folder)
    return derived


def _agree(derived: Derived, folder: Path) -> None:
    """Raises Damaged where the parts are not of one and the same state."""
    rows, vectors, embedder = len(derived.rows), derived.vectors, derived.embedder
    known: NDArray[np.int64] = vectors.rows() if vectors is not None else np.zeros(0, dtype=np.int64)
    if vectors is not None and embedder is not None and vectors.dims != embedder.dims:
        raise Damaged(f"{folder}: vectors and embedder do not agree")
    if derived.columns.rows != rows or derived.terms.stats()["rows"] > len(derived.rows.by_id):
        raise Damaged(f"{folder}: rows, words and metadata do not agree")
    if max(known.max(initial=-1), -1) >= rows or (embedder is not None and derived.dims and len(derived.missing())):
        raise Damaged(f"{folder}: rows and vectors do not agree")
    if rows and int(derived.rows.places.max()) > derived.seen:
        raise Damaged(f"{folder}: rows are of later places than {derived.seen}")


def base(folder: Path, space: str) -> Path:
    """Projects with different embedders use a collection side by side."""
    index = folder / "index"
    return index / f"{_OF}{blake2b(space.encode(), digest_size=8).hexdigest()}" if space else index


def loaded(base: Path, log: Log, space: str) -> Derived | None:
    """What was saved last; None: nothing, or nothing that can be used. Raises JournalError where the log lost what it knows."""
    while name := shelf.current(base):
        try:
            derived = read(base / name)
        except Damaged as damaged:
            if shelf.current(base) != name:  # replaced while it was being read
                continue
            logger.warning("an index is made anew: %s", damaged)
            return None
        if derived.seen > log.head():
            raise JournalError(
                f"{base}: its log ends before version {derived.seen}, which this index knows: emptied, or an older copy",
                hint=f"bring the log back; or, to go on with what there is, remove {base}",
            )
        return derived if _fits(derived, log, space) else None
    return None


def _fits(derived: Derived, log: Log, space: str) -> bool:
    """It was made from this log, and for this embedder."""
    if derived.space != space:
        return False
    there = log.since(derived.seen - 1, 1) if derived.seen else []
    return not derived.seen or (bool(there) and derived.last == mark(there[0]))


def publish(base: Path, prefix: str, save: Callable[[Path, Path | None], None]) -> bool:
    """Save what is derived for whoever opens the collection next; False: another process is at it. Raises OSError."""
    base.mkdir(mode=0o700, parents=True, exist_ok=True)
    with shelf.locked(base) as mine:
        if mine:
            shelf.publish(base, prefix, save)
    if mine and base.name.startswith(_OF):
        _clear(base)
    return mine


def _clear(base: Path) -> None:
    """Indexes for embedders that nobody has used for long."""
    times = {path.parent: path.stat().st_mtime_ns for path in base.parent.glob(f"{_OF}*/CURRENT")}
    times.pop(base, None)
    for other in sorted(times, key=lambda path: times[path])[: max(0, len(times) + 1 - MOST_EMBEDDERS)]:
        shutil.rmtree(other, ignore_errors=True)
