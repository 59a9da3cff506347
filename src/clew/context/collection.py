"""One collection, open: a scope's documents. The log is the truth; what is derived from it follows, and is saved now and then.

Every write is durable when it returns and seen by the next search, of this process or any other. Saved indexes stand in
``index/<place>-<token>`` and ``index/CURRENT`` names the one to open (in a folder of their own where the embedder is declared);
whatever is odd about them, they are made anew from the log. Retention is enforced at writes, at opening and whenever the
collection is tended; with it, history goes back ``HISTORY`` places (or as many as there are documents) to twice as many.
"""

import logging
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from clew.context import filters, saved, search
from clew.context.damage import Damaged
from clew.context.derived import Derived
from clew.context.embed.port import Embedder
from clew.context.following import built, follow
from clew.context.graph.facts import Facts
from clew.context.log.port import NO_BOUNDS, Label, Log
from clew.context.merge.conflict import Resolver
from clew.context.merge.document import Outcome, merge_document
from clew.core.errors import UsageError
from clew.gate.ports.context import Change, Found, Put, Query, SearchConfig, Version

logger = logging.getLogger("clew.context")

SAVE_EVERY = 10_000
"""Versions after which what is derived is saved: no more than these are read again at the next opening."""
_WORTH = 500
"""Versions that are worth saving at the end."""
HISTORY = 10_000
REST_MS = 60_000
"""After a failure, what is derived is left as it is for so long."""
_BUSY_MS = 5_000
_TRIES = 3
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
        self._tending, self._learning = threading.Lock(), threading.Lock()
        self._tender: threading.Thread | None = None
        self._saved = 0
        """The place up to which what is derived was saved."""
        self._resting_until, self._trouble = 0, ""
        if log.bounds != NO_BOUNDS:
            log.trim(now())
        self._derived = self._loaded() or built(log, self._space)

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
        if vector is None and query.text.strip():
            vector = derived.embed(query.text)
        elif vector is not None and derived.dims not in (0, len(vector)):
            raise UsageError(f"the query's vector has {len(vector)} dimensions, the collection's have {derived.dims}")
        found = search.run(derived, query, vector, config, mask)
        told: dict[str, Any] = {"documents": len(derived.rows.by_id), "embedder": derived.embedder_name()}
        if tree is not None and mask is not None:
            told["allowed"] = int(np.count_nonzero(mask))
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

    # -- what is derived ---------------------------------------------------------------------------------------

    def tend(self) -> None:
        """Do now what is done in the background otherwise: learn, clear out the dead, fold, save, forget old history."""
        with self._tending:
            with self._lock:
                self._follow()
            improved = self._learn()
            if self._derived.crowded():
                improved = self._replace() or improved
            self._derived.fold()
            if improved or self._saving_due():
                self.save()
            self._forget()
            if not self._due():
                self._trouble = ""

    def _due(self) -> bool:
        return self._derived.due() or self._saving_due() or self._forgetting_due()

    def _saving_due(self) -> bool:
        return self._folder is not None and self._derived.seen - self._saved >= SAVE_EVERY

    def _forgetting_due(self) -> bool:
        known = self._derived
        return self.log.bounds != NO_BOUNDS and known.seen - known.floor > 2 * self._history()

    def _history(self) -> int:
        """Places that are kept where there is retention."""
        return max(HISTORY, len(self._derived.rows.by_id))

    def save(self) -> None:
        """What is derived, as files; whoever opens the collection next starts from them. One process at a time does it."""
        if self._folder is None:
            return
        try:
            if not self._published(self._folder):
                self._resting_until = self._now() + _BUSY_MS
        except OSError as error:  # a full disk: the log is what counts
            self._rest(f"the index is not saved: {error.strerror or error}")

    def _published(self, folder: Path) -> bool:
        """Searches and writes go on while indexes are folded and files synced; they wait while files are written."""
        self._derived.fold()
        seen = 0

        def write(folder: Path, previous: Path | None) -> None:
            nonlocal seen
            with self._lock:
                self._follow()
                self._derived.save(folder, previous)
                seen = self._derived.seen

        done = saved.publish(saved.base(folder, self._space), str(self._derived.seen), write)
        self._saved = max(self._saved, seen)
        return done

    def _loaded(self) -> Derived | None:
        """What was saved, caught up."""
        if self._folder is None:
            return None
        found = saved.loaded(saved.base(self._folder, self._space), self.log, self._space)
        place = found.seen if found is not None else 0
        if found is None or not follow(found, self.log, self.log.heads()):
            return None
        self._saved = place
        return found

    def _replace(self) -> bool:
        """Without dead rows: as another process saved it meanwhile, or anew; whether the latter. Searches and writes go on."""
        before, sample = self._derived, self._derived.sample
        found = self._loaded()
        anew = found is None or found.crowded()
        fresh = built(self.log, self._space, before) if found is None or anew else found
        with self._lock:
            if self._derived is not before or before.sample != sample or not follow(fresh, self.log, self.log.heads()):
                return False  # another embedder was learned meanwhile, or the log forgot what is needed: another time
            self._derived = fresh
        return anew

    def _anew(self) -> None:
        """The lock is held."""
        self._derived, self._saved = built(self.log, self._space, self._derived), 0

    def _follow(self) -> None:
        """Take in what was written since, here or elsewhere. The lock is held."""
        heads, known = self.log.heads(), self._derived
        if heads != (known.seen, known.attached, known.floor) and not follow(known, self.log, heads):
            self._anew()
        if self._due():
            self._tend_soon()

    def _tend_soon(self) -> None:
        """Tend in the background, unless that is under way or failed just now."""
        if (self._tender is None or not self._tender.is_alive()) and self._now() >= self._resting_until:
            self._tender = threading.Thread(target=self._tend_quietly, name="clew-context", daemon=True)
            self._tender.start()

    def _tend_quietly(self) -> None:
        try:
            self.tend()
        except Exception as error:
            self._rest(f"{type(error).__name__}: {error}")

    def _rest(self, why: str) -> None:
        """What is derived cannot be tended: not at every search, and said once."""
        if why != self._trouble:
            logger.warning("what is derived in %s could not be tended: %s", self._folder, why)
        self._trouble, self._resting_until = why, self._now() + REST_MS

    def _learn(self, *, exactly: bool = False) -> bool:
        """Whether something was learned. The lock is held only to take what is ready into use."""
        with self._learning:
            derived = self._derived
            for tries in range(_TRIES):
                if not derived.learning_due(exactly=exactly):
                    return tries > 0
                learned = derived.learned_anew(self._texts)
                with self._lock:
                    derived.adopt(learned, self._texts)
            return True

    def _texts(self, names: Sequence[str]) -> dict[str, str]:
        return {name: version.text for name, version in self.log.get_many(names).items()}

    def _forget(self) -> None:
        """Enforce retention. What is saved must not need what is forgotten."""
        if self.log.bounds == NO_BOUNDS:
            return
        self.log.trim(self._now())
        if self._forgetting_due():
            place = self._derived.seen - self._history()
            if self._saved < place:
                self.save()
            self.log.compact(place, removals=True)


class _Merging:
    """A collection's log, written to as the collection is."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection

    def history(self, id: str) -> list[Version]:  # noqa: A002 - the word of the contract
        return self._collection.log.history(id)

    def write(self, changes: Sequence[Change], at: int) -> list[Version | None]:
        return self._collection.write(changes)
