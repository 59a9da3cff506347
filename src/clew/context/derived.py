"""All that is derived from a log: rows, vectors, words, metadata, graph. It can be thrown away and made again at any time.

One thread at a time may use it; ``Collection`` sees to that.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from clew.context.columns import Columns
from clew.context.dense import DenseIndex
from clew.context.embed.hashing import Hashing
from clew.context.embed.offline import Offline, offline, sampled, threshold
from clew.context.filters import Filter
from clew.context.fusion import ordered
from clew.context.graph import walk
from clew.context.graph.facts import Facts
from clew.context.rows import UNLIKE, Rows
from clew.context.search import Listed, Mask
from clew.context.sparse import SparseIndex, words
from clew.gate.ports.context import Query, Version

GIVEN = "given"
"""The space of vectors whose embedder nobody named."""
_CHUNK = 512
_FOLD = 2000
"""Rows lately come or gone that are worth folding."""
_CROWD = 10_000
"""Dead rows, beyond as many as there are live ones, that are worth making everything anew."""
Texts = Callable[[Sequence[str]], dict[str, str]]
"""Document ids -> texts of the live ones."""
Versions = Callable[[Sequence[str]], dict[str, Version]]
"""Document ids -> the live ones, with the vectors that are compared."""


class Derived:
    """``seen``: the place in the log up to which it knows everything. ``space``: the embedder whose vectors it compares; empty:
    the offline embedder, whatever documents come with.

    ``model``: another one of the same log, whose embedder this one uses.
    """

    def __init__(self, space: str = "", model: "Derived | None" = None) -> None:
        self.seen, self.attached, self.floor, self.last = 0, 0, 0, ""
        self.space = space
        self.rows, self.terms, self.columns, self.facts = Rows(), SparseIndex(), Columns(), Facts()
        self.vectors: DenseIndex | None = None
        self.embedder: Offline | None = None if space else Hashing(words)
        self.learned, self.sample = 0, 0
        """Documents that there were when the embedder was learned, and a digest of those that it was learned from."""
        if model is not None and not space and model.embedder is not None:
            self.embedder, self.learned, self.sample = model.embedder, model.learned, model.sample
        self._looked = 0, 0, 0
        """What is live at this place and attachment would be learned from these."""

    # -- growing -----------------------------------------------------------------------------------------------

    def apply(self, versions: Sequence[Version], lasts: Callable[[Version], bool] | None = None) -> None:
        """What follows in the log. Of several versions of a document only the last has a row, and only if it ``lasts``."""
        if not versions:
            return
        self.facts.apply(versions)
        last_of = {version.id: version.n for version in versions}
        newest = {version.id: version for version in versions if version.n == last_of[version.id]}  # in order of place
        self._kill(newest)
        added = [version for version in newest.values() if not version.deleted and (lasts is None or lasts(version))]
        if added:
            self._add(added)
        last = versions[-1]
        self.seen, self.last = last.n, mark(last)

    def attach(self, places: Sequence[int], versions: Versions) -> None:
        """Vectors that are compared were made later for versions at these places: each that is live gets a new row."""
        fresh = list(self._standing(self._at(places), versions).values())
        if fresh:
            self._kill([version.id for version in fresh])
            self._add(fresh)

    def attach_unlike(self, places: Sequence[int]) -> None:
        """The same with vectors that cannot be compared: they are counted where there is no other."""
        rows = self._at(places)
        rows = rows[self.rows.lengths[rows] == 0]
        self.rows.give(rows, [UNLIKE] * len(rows))

    def _at(self, places: Sequence[int]) -> NDArray[np.int64]:
        return np.flatnonzero(np.isin(self.rows.places, np.array(places, dtype=np.int64)) & self.rows.live)

    def _standing(self, rows: NDArray[np.int64], versions: Versions) -> dict[int, Version]:
        """Live rows' versions, but for those that were replaced meanwhile."""
        names = self.rows.named(rows.tolist())
        found = versions(names)
        known = zip(rows.tolist(), names, self.rows.places[rows].tolist(), strict=True)
        return {row: one for row, name, n in known if (one := found.get(name)) is not None and one.n == n}

    def align(self, versions: Versions) -> None:
        """Compare vectors of the length that most have, whichever came first: one document decides nothing."""
        dims = self.rows.most_given()
        if self.embedder is not None or dims == self.dims:
            return
        index = DenseIndex(dims) if dims else None  # in use when it is whole: reading may fail
        if index is not None:
            rows = np.flatnonzero(self.rows.live & (self.rows.lengths == dims))
            for start in range(0, len(rows), _CHUNK):
                found = self._standing(rows[start : start + _CHUNK], versions)
                self._compare(index, np.array([*found], dtype=np.int64), [*found.values()])
        self.vectors = index

    def _kill(self, names: Iterable[str]) -> None:
        dead = [row for name in names if (row := self.rows.kill(name)) is not None]
        if dead:
            self.terms.remove(np.array(dead, dtype=np.int64))

    def _add(self, versions: Sequence[Version]) -> None:
        rows = np.array([self.rows.add(v.id, v.n, v.at) for v in versions], dtype=np.int64)
        self.terms.add(rows, [v.text for v in versions])
        self.columns.add(rows, [v.metadata for v in versions])
        self.rows.give(rows, [self._length(version) for version in versions])
        if self.embedder is not None:
            vectors = self.embedder.embed([v.text for v in versions])
            self.vectors = self.vectors or DenseIndex(vectors.shape[1])
            self.vectors.add(rows, vectors)
        elif dims := self.dims or self.rows.most_given():
            self.vectors = self.vectors or DenseIndex(dims)
            self._compare(self.vectors, rows, versions)

    def _length(self, version: Version) -> int:
        """Of the vector; 0: there is none. ``UNLIKE``: it is no point that can be compared."""
        if not version.vector:
            return 0
        numbers = np.frombuffer(version.vector, dtype="<f4")
        alike = (version.embedder or GIVEN) == self.space and np.isfinite(numbers).all()
        return len(numbers) if alike else UNLIKE

    def _compare(self, index: DenseIndex, rows: NDArray[np.int64], versions: Sequence[Version]) -> None:
        """Add the vectors that are of its length."""
        ours = [i for i, version in enumerate(versions) if self._length(version) == index.dims]
        if ours:
            found = np.frombuffer(b"".join(versions[i].vector for i in ours), dtype="<f4").astype(np.float32)
            index.add(rows[ours], found.reshape(len(ours), index.dims))

    # -- tending -----------------------------------------------------------------------------------------------

    def due(self) -> bool:
        """There is something for ``Collection.tend`` to do."""
        return self.terms.pending > max(_FOLD, len(self.rows) // 10) or self.learning_due() or self.crowded()

    def crowded(self) -> bool:
        """Most of it is dead: it takes less room, and searches less time, when it is made anew."""
        return self.rows.dead > len(self.rows.by_id) + _CROWD

    def fold(self) -> None:
        """Put what was added lately where it is found fastest. Searches and additions may go on meanwhile."""
        if self.terms.pending:
            self.terms.fold()
        vectors = self.vectors  # another thread may take it away
        if vectors is not None:
            vectors.settle()

    def learning_due(self, *, exactly: bool = False) -> bool:
        """The offline embedder is to be learned anew: there are more documents, by some part of them; or, ``exactly``, one
        that was learned now would be another."""
        if self.embedder is None:
            return False
        if exactly:
            now = self.seen, self.attached
            if self._looked[:2] != now:
                self._looked = *now, self._sample(np.flatnonzero(self.rows.live))[1]
            return self._looked[2] != self.sample
        return threshold(len(self.rows.by_id)) > self.learned

    def _sample(self, live: NDArray[np.int64]) -> tuple[NDArray[np.int64], int]:
        """Of these rows those that are learned from, and a digest of them: it hangs on what is live alone, and not on the
        documents that came after the last ``threshold``."""
        first = live[: threshold(len(live))]
        sample = first[sampled(self.rows.named(first.tolist()))]
        return sample, crc32(self.rows.places[sample].tobytes())

    def learned_anew(self, texts: Texts) -> "Learned":
        """An offline embedder from a sample of the live documents, with every vector made anew. Additions may go on meanwhile."""
        upto = len(self.rows)
        live = self.rows.live[:upto].copy()
        everyone: NDArray[np.int64] = np.flatnonzero(live)
        sample, print_ = self._sample(everyone)
        names = self.rows.named(sample.tolist())
        known = texts(names)
        embedder = offline(words, [known.get(name, "") for name in names])
        vectors = DenseIndex(embedder.dims)
        for start in range(0, len(everyone), _CHUNK):
            rows = everyone[start : start + _CHUNK]
            names = self.rows.named(rows.tolist())
            known = texts(names)
            vectors.add(rows, embedder.embed([known.get(name, "") for name in names]))
        return Learned(embedder, vectors, upto, threshold(len(everyone)), print_)

    def adopt(self, learned: "Learned", texts: Texts) -> None:
        """Use it from now on."""
        self.embedder, self.vectors = learned.embedder, learned.vectors
        self.learned, self.sample = learned.documents, learned.sample
        since: NDArray[np.int64] = learned.upto + np.flatnonzero(self.rows.live[learned.upto :])
        if len(since):
            names = self.rows.named(since.tolist())
            known = texts(names)
            self.vectors.add(since, learned.embedder.embed([known.get(name, "") for name in names]))

    # -- searching (``search.Lists``) --------------------------------------------------------------------------

    def mask(self, filter: Filter | None) -> Mask | None:  # noqa: A002 - the word of the contract
        """Rows that may be found; None: every live one. Do not write into it."""
        if filter is None:
            return None
        mask = self.columns.mask(filter, len(self.rows))
        return mask & self.rows.live if self.rows.dead else mask

    def named(self, rows: Sequence[int]) -> list[str]:
        return self.rows.named(rows)

    def dense(self, query: NDArray[np.float32], k: int, mask: Mask | None, *, exact: bool = False) -> Listed:
        if self.vectors is None:
            return _NOTHING
        within = self.rows.live if mask is None and (self.rows.dead or exact) else mask
        return self.vectors.search(query, k, within, exact=exact)

    def sparse(self, text: str, k: int, mask: Mask | None) -> Listed:
        return self.terms.search(text, k, mask)

    def graph(self, text: str, k: int, mask: Mask | None) -> Listed:
        by_id = self.rows.by_id
        first, best = self.terms.search(text, walk.SEEDS, mask)

        def allowed(name: str) -> bool:
            return name in by_id and (mask is None or bool(mask[by_id[name]]))

        seeds, _ = ordered(self.rows.named(first.tolist()), best.tolist(), walk.SEEDS)
        near = [(by_id[one], score) for one, score in walk.near(self.facts, text, k, seeds=seeds, allowed=allowed)]
        rows, scores = [row for row, _ in near], [score for _, score in near]
        return np.array(rows, dtype=np.int64), np.array(scores, dtype=np.float32)

    def only(self, rows: NDArray[np.int64]) -> Mask:
        mask = np.zeros(len(self.rows), dtype=np.bool_)
        mask[rows] = True
        return mask

    @property
    def dims(self) -> int:
        """Of the vectors; 0: there are none yet."""
        return self.vectors.dims if self.vectors is not None else 0

    @property
    def unlike(self) -> int:
        """Documents with a vector that is not compared: of another embedder, or of another length than most."""
        return self.rows.given.total() - self.rows.given[self.dims]

    def embedder_name(self) -> str:
        return self.embedder.name if self.embedder is not None else self.space

    def unused(self, query: Query) -> dict[str, str]:
        """For who asks: vectors that there are, and that are not compared."""
        name, told = self.embedder_name(), dict[str, str]()
        if self.unlike:
            length = f", or have not its {self.dims} dimensions" if self.space and self.dims else ""
            told["not_compared"] = f"vectors that came with documents ({self.unlike}): they are not by {name}{length}"
        if query.vector and self.embedder is not None:
            told["query_vector"] = f"not used: {name} makes the vectors here, of texts"
        return told

    def missing(self) -> list[str]:
        """Live documents without a vector that can be compared."""
        without = self.rows.live.copy()
        if self.vectors is not None:
            without[self.vectors.rows()] = False
        return self.rows.named(np.flatnonzero(without).tolist())

    def stats(self) -> dict[str, Any]:
        parts = {"sparse": self.terms.stats(), "graph": self.facts.stats()}
        if self.vectors is not None:
            parts["dense"] = self.vectors.stats()
        return {"rows": len(self.rows), "embedder": self.embedder_name(), "unlike": self.unlike, **parts}


class Learned(NamedTuple):
    """An embedder with the vectors of the live rows below ``upto``."""

    embedder: Offline
    vectors: DenseIndex
    upto: int
    documents: int
    sample: int


def mark(version: Version) -> str:
    """Tells a version of one log from one at the same place of another."""
    return f"{version.id} {version.version} {version.at} {crc32(version.text.encode()):08x}"


_NOTHING = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32)
