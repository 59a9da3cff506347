"""One collection, open: a scope's documents. The log is the truth; what is derived from it follows.

Every write is durable when it returns and seen by the next search, of this process or any other.
"""

import logging
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from clew.context import filters, search
from clew.context.damage import Damaged
from clew.context.embed.offline import asked, learned_of
from clew.context.embed.port import Embedder
from clew.context.graph.facts import Facts
from clew.context.log.port import Label, Log
from clew.context.merge.conflict import Resolver
from clew.context.merge.document import Outcome, merge_document
from clew.context.tended import Tended
from clew.core.errors import UsageError
from clew.gate.ports.context import Change, Found, Put, Query, SearchConfig, Version

logger = logging.getLogger("clew.context")
DEFAULT = SearchConfig()


class Collection(Tended):
    """Used by any number of threads; searches and catching up take turns. ``close`` it.

    ``embedder`` makes the vector of what comes without one. ``space``: the name of an embedder that is elsewhere, whose
    vectors come with documents and queries; ``given`` where nobody names it. Neither: an offline embedder learns from the
    documents, whatever they come with.
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
        super().__init__(log, folder, now, embedder.name if embedder is not None else space)
        self._embedder = embedder

    # -- writing -----------------------------------------------------------------------------------------------

    def write(self, changes: Sequence[Change]) -> list[Version | None]:
        """All or none, durable when it returns; None for what changed nothing. Raises VersionConflict, UsageError, JournalError."""
        embedder = self._embedder
        written = self.log.write(self._embedded(changes, embedder) if embedder is not None else changes, self._now())
        bare = (
            [one for one in written if one is not None and one.text and not one.vector] if embedder is not None else []
        )
        if embedder is not None and bare:  # its vector was to stay, and somebody changed the text just before
            vectors = embedder.embed([one.text for one in bare])
            made = [
                (one.n, embedder.name, vector.astype("<f4").tobytes())
                for one, vector in zip(bare, vectors, strict=True)
            ]
            self.log.attach(made)
        with self._lock:
            self._follow()
        return written

    def _embedded(self, changes: Sequence[Change], embedder: Embedder) -> list[Change]:
        bare = {i: put for i, put in enumerate(changes) if isinstance(put, Put) and put.text and not put.vector}
        there = self.log.get_many([put.id for put in bare.values()], embedder.name)
        for i, put in list(bare.items()):
            before = there.get(put.id)
            if before is not None and before.text == put.text and before.embedder == embedder.name:
                del bare[i]  # its vector stays
        ready = list(changes)
        if bare:
            vectors = embedder.embed([put.text for put in bare.values()])
            for (i, put), vector in zip(bare.items(), vectors, strict=True):
                ready[i] = msgspec.structs.replace(put, vector=vector.astype("<f4").tobytes(), embedder=embedder.name)
        return ready

    def attach(self, vectors: Sequence[tuple[int, str, bytes]]) -> None:
        """Vectors that were made later: (place, embedder, vector). Durable when it returns."""
        self.log.attach(vectors)
        with self._lock:
            self._follow()

    def merge(self, base: int, theirs: Put, resolve: Resolver | None = None) -> Outcome:
        """Three-way: ``theirs`` was made from version ``base``. Raises as ``merge_document`` does."""
        return merge_document(_Merging(self), base, theirs, self._now(), resolve)

    # -- searching ---------------------------------------------------------------------------------------------

    def search(self, query: Query, config: SearchConfig = DEFAULT) -> Found:
        """Raises UsageError for a query, a filter or a configuration that makes no sense."""
        search.check(query, config)
        tree = filters.parse(query.filter) if query.filter is not None else None
        vector = self._vector(query)
        if config.deterministic:
            self._settle()
        with self._lock:
            self._follow()
            try:
                return self._found(query, vector, config, tree)
            except Damaged as damaged:  # the vectors' file is not read whole when it is opened
                logger.warning("an index is made anew: %s", damaged)
                self._anew()
                return self._found(query, vector, config, tree)

    def _settle(self) -> None:
        """Learn what hangs on the documents alone, not on when it was learned."""
        with self._lock:
            self._follow()
        try:
            if self._now() >= self._resting_until:
                self._learn(exactly=True)
        except Exception as error:
            self._rest(f"{type(error).__name__}: {error}")

    def _found(
        self, query: Query, vector: NDArray[np.float32] | None, config: SearchConfig, tree: filters.Filter | None
    ) -> Found:
        derived = self._derived
        mask = derived.mask(tree)
        if derived.embedder is not None or (vector is None and query.text.strip()):
            vector = asked(derived.embedder, query.text)
        elif vector is not None and derived.dims not in (0, len(vector)):
            raise UsageError(f"the query's vector has {len(vector)} dimensions, the collection's have {derived.dims}")
        learned = None if config.deterministic else learned_of(derived.embedder, len(derived.rows.by_id))
        found = search.run(derived, query, vector, config, mask, learned)
        told: dict[str, Any] = {
            "documents": len(derived.rows.by_id),
            "embedder": derived.embedder_name(),
        } | derived.unused(query)
        if tree is not None and mask is not None:
            told["allowed"] = int(np.count_nonzero(mask))
            if not told["allowed"] and (unknown := derived.columns.unknown(filters.fields(tree))):
                told["unknown_fields"] = unknown
        if self._trouble:
            told["trouble"] = self._trouble
        found.explain.update(told)
        return found

    def _vector(self, query: Query) -> NDArray[np.float32] | None:
        """Given, or by the embedder that is here; the lock is not held for it."""
        if query.vector:
            return np.frombuffer(query.vector, dtype="<f4").astype(np.float32)
        if self._embedder is None or not query.text.strip():
            return None
        vector = self._embedder.embed([query.text])[0]
        return vector if vector.any() else None

    # -- looking -----------------------------------------------------------------------------------------------

    def get(self, id: str) -> Version | None:  # noqa: A002 - the word of the contract
        return self.log.get(id)

    def newest(self, count: int, where: dict[str, Any] | None = None) -> list[str]:
        """Ids of the documents written last, newest first."""
        tree = filters.parse(where) if where is not None else None
        with self._lock:
            self._follow()
            mask, known = self._derived.mask(tree), self._derived.rows
            rows = np.flatnonzero(known.live if mask is None else mask)
            best = rows[np.lexsort((known.places[rows], known.times[rows]))[::-1][:count]]
            return self._derived.named(best.tolist())

    @property
    def dims(self) -> int:
        """Of the vectors; 0: there are none yet."""
        with self._lock:
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
            derived = self._derived.stats() | ({"trouble": self._trouble} if self._trouble else {})
        return {
            "backend": self.log.backend,
            "documents": self.log.count(),
            "bytes": self.log.size(),
            "head": self.log.head(),
            "saved": self._saved,
        } | derived

    @contextmanager
    def facts(self) -> Generator[Facts]:
        """The knowledge graph, caught up; it does not change while it is held, and others wait."""
        with self._lock:
            self._follow()
            yield self._derived.facts


class _Merging:
    """A collection's log, written to as the collection is."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection

    def history(self, id: str) -> list[Version]:  # noqa: A002 - the word of the contract
        return self._collection.log.history(id)

    def write(self, changes: Sequence[Change], at: int) -> list[Version | None]:
        return self._collection.write(changes)
