"""What the JSONL log holds in memory: where each version's line stands, which are live, and in which order they were written."""

from array import array
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Iterator
from typing import NamedTuple

from clew.context.log.lines import Attached, AttachedNumbers, Brief, Head, Labelled, Line, Wrote, WroteNumbers
from clew.context.log.port import MOST_EMBEDDERS, Label
from clew.context.log.rules import Kept


class Span(NamedTuple):
    """Bytes of the file."""

    offset: int
    length: int


class Places:
    """Versions by index, in the order of the file: about 60 bytes each, and some 200 for each document."""

    def __init__(self) -> None:
        self._n = array("q")
        self._offset = array("q")
        self._length = array("q")
        self._before = array("q")  # index of the version that it replaced, or -1
        self._size = array("q")
        self._at = array("q")
        self._newest: dict[str, int] = {}
        self._live: OrderedDict[str, int] = OrderedDict()
        self._vectors: dict[int, dict[str, tuple[int, Span]]] = {}  # by n and embedder, the newest last
        self._embedders: dict[str, None] = {}  # the one that was attached last is the last one
        self._attached: list[array[int]] = [array("q"), array("q")]  # m and n of all attachments
        self.labels: dict[str, Label] = {}
        self.head = self.size = self.floor = self.m = 0

    @property
    def versions(self) -> int:
        return len(self._n)

    @property
    def live(self) -> int:
        return len(self._live)

    def apply(self, line: Line | Brief, span: Span) -> None:
        """Take in the next line of the file."""
        match line:
            case Wrote() | WroteNumbers():
                self._wrote(line, span)
            case Attached() | AttachedNumbers():
                self._attach(line, span)
            case Labelled():
                self.labels.pop(line.name, None)
                if line.n is not None:
                    self.labels[line.name] = Label(line.n, line.at)
            case Head(floor=floor, m=m):
                self.floor, self.m = floor, m

    def _attach(self, line: Attached | AttachedNumbers, span: Span) -> None:
        of_version = self._vectors.setdefault(line.n, {})
        of_version.pop(line.embedder, None)
        of_version[line.embedder] = line.m, span
        self._embedders.pop(line.embedder, None)
        self._embedders[line.embedder] = None
        self._attached[0].append(line.m)
        self._attached[1].append(line.n)
        self.m = max(self.m, line.m)  # the newest may have been compacted away: the head line counts it
        if len(self._embedders) > MOST_EMBEDDERS:
            oldest = next(iter(self._embedders))
            del self._embedders[oldest]
            for vectors in self._vectors.values():
                vectors.pop(oldest, None)

    def _wrote(self, line: Wrote | WroteNumbers, span: Span) -> None:
        numbers = line.version
        index = len(self._n)
        replaced = self._live.pop(numbers.id, None)
        if replaced is not None:
            self.size -= self._size[replaced]
        for column, value in zip(
            (self._n, self._offset, self._length, self._before, self._size, self._at),
            (numbers.n, *span, self._newest.get(numbers.id, -1), line.size, numbers.at),
            strict=True,
        ):
            column.append(value)
        self._newest[numbers.id] = index
        self.head = numbers.n
        if not numbers.deleted:
            self._live[numbers.id] = index
            self.size += line.size

    def span(self, index: int) -> Span:
        return Span(self._offset[index], self._length[index])

    def size_of(self, index: int) -> int:
        return self._size[index]

    def vectors_of(self, index: int) -> dict[str, Span]:
        """Where the vectors stand that were attached to a version, by embedder; the newest is the last."""
        return {embedder: span for embedder, (_, span) in self._vectors.get(self._n[index], {}).items()}

    def newest(self, id: str) -> int | None:  # noqa: A002
        """Index of the newest version, a removal included."""
        return self._newest.get(id)

    def live_index(self, id: str) -> int | None:  # noqa: A002
        return self._live.get(id)

    def ids(self, prefix: str) -> list[str]:
        return sorted(id_ for id_ in self._live if id_.startswith(prefix))

    def live_places(self) -> list[int]:
        return [self._n[index] for index in self._live.values()]

    def oldest(self) -> Iterator[Kept]:
        """Live documents in order of writing."""
        return (Kept(id_, self._at[index], self._size[index]) for id_, index in self._live.items())

    def after(self, n: int, limit: int) -> range:
        """Indexes of the versions after place ``n``."""
        start = bisect_right(self._n, n)
        return range(start, min(start + limit, len(self._n)))

    def chain(self, id: str) -> list[int]:  # noqa: A002
        """Indexes of a document's versions, oldest first."""
        found: list[int] = []
        index = self._newest.get(id, -1)
        while index >= 0:
            found.append(index)
            index = self._before[index]
        return found[::-1]

    def as_of(self, n: int, id: str) -> int | None:  # noqa: A002
        """Index of the document's newest version at place ``n``, a removal included."""
        index = self._newest.get(id, -1)
        while index >= 0 and self._n[index] > n:
            index = self._before[index]
        return index if index >= 0 else None

    def places_at(self, n: int) -> list[int]:
        """Places of what was the newest version of each document at place ``n``, removals included, in order."""
        found = (self.as_of(n, id_) for id_ in self._newest)
        return sorted(self._n[index] for index in found if index is not None)

    def index_of(self, n: int) -> int | None:
        """Index of the version at place ``n``, if it is there."""
        index = bisect_left(self._n, n)
        return index if index < len(self._n) and self._n[index] == n else None

    def attached(self, m: int, limit: int, embedder: str = "") -> list[tuple[int, int, Span]]:
        """The next attachments after ``m`` that are their versions' newest, or of an embedder: ``(m, n, where)``."""
        found: list[tuple[int, int, Span]] = []
        numbers, places = self._attached
        for index in range(bisect_right(numbers, m), len(numbers)):
            known = self._vectors[places[index]]
            newest = known.get(embedder or next(reversed(known), ""))
            if newest is not None and newest[0] == numbers[index]:
                found.append((newest[0], places[index], newest[1]))
                if len(found) == limit:
                    break
        return found

    def keep(self, keep_since: int, *, removals: bool = False) -> list[int]:
        """Indexes of versions that compaction keeps, in order. See ``Log.compact``."""
        labelled = sorted({label.n for label in self.labels.values()})
        kept: list[int] = []
        for id_, index in self._newest.items():
            until, before = None, len(kept)
            while index >= 0:
                first = bisect_left(labelled, self._n[index])
                if until is None or until > keep_since or (first < len(labelled) and labelled[first] < until):
                    kept.append(index)
                until = self._n[index]
                index = self._before[index]
            alone = len(kept) == before + 1
            if removals and alone and id_ not in self._live and self._n[kept[-1]] <= min(keep_since, self.head - 1):
                kept.pop()
        return sorted(kept)
