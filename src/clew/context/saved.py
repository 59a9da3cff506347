"""Where a collection's derived indexes are saved: ``index/``, or a folder in it for each embedder whose vectors are compared."""

import logging
import shutil
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path

from clew.context import shelf
from clew.context.damage import Damaged
from clew.context.derived import Derived, mark
from clew.context.log.port import MOST_EMBEDDERS, Log
from clew.core.errors import JournalError

logger = logging.getLogger("clew.context")
_OF = "of-"


def base(folder: Path, space: str) -> Path:
    """Projects with different embedders use a collection side by side."""
    index = folder / "index"
    return index / f"{_OF}{blake2b(space.encode(), digest_size=8).hexdigest()}" if space else index


def loaded(base: Path, log: Log, space: str) -> Derived | None:
    """What was saved last; None: nothing, or nothing that can be used. Raises JournalError where the log lost what it knows."""
    while name := shelf.current(base):
        try:
            derived = Derived.load(base / name)
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
    if space and derived.space != space:
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
