"""One collection, open: a scope's documents. The log is the truth; what is derived from it follows, and is saved now and then.

Every write is durable when it returns and seen by the next search, of this process or any other. Saved indexes stand in
``index/<place>-<token>`` and ``index/CURRENT`` names the one to open; whatever is odd about them, they are made anew from the log.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from clew.context import filters, search, shelf
from clew.context.damage import Damaged
from clew.context.derived import Derived, mark
from clew.context.embed.port import Embedder
from clew.context.log.port import Label, Log
from clew.core.errors import JournalError, UsageError
from clew.gate.ports.context import Change, Found, Put, Query, SearchConfig, Version

logger = logging.getLogger("clew.context")

SAVE_EVERY = 10_000
"""Versions after which what is derived is saved: no more than these are read again at the next opening."""
_WORTH = 500
"""Versions that are worth saving at the end."""
_BATCH = 2000
DEFAULT = SearchConfig()


class Collection:
    """Used by any number of threads; searches and catching up take turns. ``close`` it.

    ``embedder`` makes the vector of what comes without one. ``space``: the name of an embedder that is elsewhere, whose
    vectors come with the documents. Neither: an offline embedder learns from the documents.
    """

    def __init__(
        self,
        log: Log,
        folder: Path | None,
        *,
        now: Callable[[], int],
        embedder: Embedder | None = None,
        space: str = "",
    ) -> None:
        self.log = log
        self._folder, self._now, self._embedder = folder, now, embedder
        self._space = embedder.name if embedder is not None else space
        self._lock = threading.RLock()
        self._tending = threading.Lock()
        self._tender: threading.Thread | None = None
        self._saved = 0
        """The place up to which what is derived was saved."""
        self._derived = self._opened()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Saves what is derived where that is worth it; nothing is lost without."""
        if self._tender is not None:
            self._tender.join()
        try:
            if self._derived.seen - self._saved >= _WORTH:
                self.save()
        finally:
            self.log.close()

    # -- writing -----------------------------------------------------------------------------------------------

    def write(self, changes: Sequence[Change]) -> list[Version | None]:
        """All or none, durable when it returns; None for what changed nothing. Raises VersionConflict, UsageError, JournalError."""
        written = self.log.write(self._embedded(changes), self._now())
        with self._lock:
            self._follow()
        return written

    def _embedded(self, changes: Sequence[Change]) -> list[Change]:
        if self._embedder is None:
            return list(changes)
        bare = {i: put for i, put in enumerate(changes) if isinstance(put, Put) and put.text and not put.vector}
        ready = list(changes)
        if bare:
            vectors = self._embedder.embed([put.text for put in bare.values()])
            for (i, put), vector in zip(bare.items(), vectors, strict=True):
                made = vector.astype("<f4").tobytes()
                ready[i] = msgspec.structs.replace(put, vector=made, embedder=self._embedder.name)
        return ready

    def attach(self, vectors: Sequence[tuple[int, str, bytes]]) -> None:
        """Vectors that were made later: (place, embedder, vector). Durable when it returns."""
        self.log.attach(vectors)
        with self._lock:
            self._follow()

    # -- searching ---------------------------------------------------------------------------------------------

    def search(self, query: Query, config: SearchConfig = DEFAULT) -> Found:
        """Raises UsageError for a query, a filter or a configuration that makes no sense."""
        search.check(query, config)
        tree = filters.parse(query.filter) if query.filter is not None else None
        if config.deterministic:
            self.tend()
        with self._lock:
            self._follow()
            try:
                return self._found(query, config, tree)
            except Damaged as damaged:  # the vectors' file is not read whole when it is opened
                logger.warning("an index is made anew: %s", damaged)
                self._derived, self._saved = Derived(self._space), 0
                self._follow()
                return self._found(query, config, tree)

    def _found(self, query: Query, config: SearchConfig, tree: filters.Filter | None) -> Found:
        derived = self._derived
        mask = derived.mask(tree)
        found = search.run(derived, query, self._vector(query), config, mask)
        told: dict[str, Any] = {"documents": len(derived.rows.by_id), "embedder": derived.embedder_name()}
        if tree is not None and mask is not None:
            told["allowed"] = int(np.count_nonzero(mask))
        found.explain.update(told)
        return found

    def _vector(self, query: Query) -> NDArray[np.float32] | None:
        if query.vector:
            given = np.frombuffer(query.vector, dtype="<f4").astype(np.float32)
            dims = self._derived.dims
            if dims and len(given) != dims:
                raise UsageError(f"the query's vector has {len(given)} dimensions, the collection's have {dims}")
            return given
        if not query.text.strip():
            return None
        return self._derived.embed(query.text, self._embedder)

    # -- looking -----------------------------------------------------------------------------------------------

    def get(self, id: str) -> Version | None:  # noqa: A002 - the word of the contract
        return self.log.get(id)

    def newest(self, count: int, where: dict[str, Any] | None = None) -> list[str]:
        """Ids of the documents written last, newest first."""
        tree = filters.parse(where) if where is not None else None
        with self._lock:
            self._follow()
            mask, times = self._derived.mask(tree), self._derived.rows.times
            rows = np.flatnonzero(self._derived.rows.live if mask is None else mask)
            best = rows[np.lexsort((rows, times[rows]))[::-1][:count]]
            return self._derived.named(best.tolist())

    @property
    def folder(self) -> Path | None:
        """Where it is kept; None: nowhere."""
        return self._folder

    @property
    def dims(self) -> int:
        """Of the vectors; 0: there are none yet."""
        return self._derived.dims

    def missing(self) -> list[str]:
        """Live documents without a vector that can be compared, where vectors come from elsewhere."""
        with self._lock:
            self._follow()
            return self._derived.missing()

    def labels(self) -> dict[str, Label]:
        return self.log.labels()

    def stats(self) -> dict[str, Any]:
        """Counts, sizes and what the indexes say of themselves."""
        with self._lock:
            self._follow()
            derived = self._derived.stats()
        return {
            "documents": self.log.count(),
            "bytes": self.log.size(),
            "head": self.log.head(),
            "saved": self._saved,
        } | derived

    @property
    def facts(self) -> Any:
        """The knowledge graph, caught up."""
        with self._lock:
            self._follow()
            return self._derived.facts

    # -- what is derived ---------------------------------------------------------------------------------------

    def tend(self) -> None:
        """Do now what is done in the background otherwise: learn, fold and train, save. Nothing is due afterwards."""
        with self._tending:
            with self._lock:
                self._follow()
            if self._improve() or self._derived.seen - self._saved >= SAVE_EVERY:
                self.save()

    def save(self) -> None:
        """What is derived, as files; whoever opens the collection next starts from them. One process at a time does it."""
        if self._folder is None:
            return
        base = self._folder / "index"
        try:
            base.mkdir(mode=0o700, parents=True, exist_ok=True)
            with shelf.locked(base) as mine:
                if mine:
                    self._publish(base)
        except OSError as error:  # a full disk: the log is what counts
            logger.warning("the index of %s is not saved: %s", self._folder, error.strerror or error)

    def _publish(self, base: Path) -> None:
        """Searches and writes go on while indexes are folded and files synced; they wait while files are written."""
        self._derived.fold()
        seen = 0

        def write(folder: Path, previous: Path | None) -> None:
            nonlocal seen
            with self._lock:
                self._follow()
                self._derived.save(folder, previous)
                seen = self._derived.seen

        shelf.publish(base, str(self._derived.seen), write)
        self._saved = seen

    def _opened(self) -> Derived:
        base = self._folder / "index" if self._folder is not None else None
        while base is not None and (name := shelf.current(base)):
            try:
                derived = Derived.load(base / name)
            except Damaged as damaged:
                if shelf.current(base) != name:  # replaced while it was being read
                    continue
                logger.warning("an index is made anew: %s", damaged)
                break
            if derived.seen > self.log.head():
                raise JournalError(
                    f"{self._folder}: its log ends before version {derived.seen}, which its index knows: emptied, or an older copy",
                    hint=f"bring the log back; or, to go on with what there is, remove {base}",
                )
            if not self._fits(derived):
                break
            self._saved = derived.seen
            self._follow(derived)
            return derived
        derived = Derived(self._space)
        self._follow(derived)
        return derived

    def _fits(self, derived: Derived) -> bool:
        """It was made from this log, and for this embedder."""
        if self._space and derived.space != self._space:
            return False
        there = self.log.since(derived.seen - 1, 1) if derived.seen else []
        return not derived.seen or (bool(there) and derived.last == mark(there[0]))

    def _follow(self, derived: Derived | None = None) -> None:
        """Take in what was written since, here or elsewhere. The lock is held."""
        known = derived or self._derived
        # Before the versions: those come with the vectors that they have by now.
        while attached := self.log.vectors_since(known.attached, _BATCH):
            known.attach([n for _, n, _, _ in attached], self.log.get_many, attached[-1][0])
        head = self.log.head()
        while known.seen < head:
            versions = self.log.since(known.seen, _BATCH)
            if not versions:
                break
            known.apply(versions)
        if derived is None and (known.due() or known.seen - self._saved >= SAVE_EVERY):
            self._tend_soon()

    def _tend_soon(self) -> None:
        """Tend in the background, unless that is under way."""
        if self._tender is None or not self._tender.is_alive():
            self._tender = threading.Thread(target=self._tend_quietly, name="clew-context", daemon=True)
            self._tender.start()

    def _tend_quietly(self) -> None:
        try:
            self.tend()
        except Exception:
            logger.exception("what is derived in %s could not be tended", self._folder)

    def _improve(self) -> bool:
        """Learn, fold, train; whether something was learned. The lock is held only to take what is ready into use."""
        derived, learned = self._derived, None
        while derived.learning_due():
            learned = derived.learned_anew(self._texts)
            with self._lock:
                derived.adopt(learned, self._texts)
        derived.fold()
        return learned is not None

    def _texts(self, names: Sequence[str]) -> dict[str, str]:
        return {name: version.text for name, version in self.log.get_many(names).items()}
