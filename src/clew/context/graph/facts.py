"""Facts: who stated them, when they hold, and since when and until when they were believed. Append-only columns."""

from array import array
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from clew.context.damage import Damaged
from clew.gate.ports.context import Relation, Version

FOREVER = 2**62
_COLUMNS: dict[str, Any] = {
    "subject": np.int32, "relation": np.int32, "object": np.int32, "document": np.int32, "by": np.int32, "confidence": np.float32,
    "valid_from": np.int64, "valid_to": np.int64, "since": np.int64, "until": np.int64,
}  # fmt: skip


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """``valid_from``/``valid_to``: when it holds, as stated (ms since the epoch; None: not said). ``since``/``until``: when the
    collection began and ceased to say so. ``by``: the agent that read it, if one did."""

    subject: str
    relation: str
    object: str
    document: str
    confidence: float
    valid_from: int | None
    valid_to: int | None
    since: int
    until: int | None
    by: str = ""


class Names:
    """Texts <-> numbers. Entities are the same when their case-folded names are."""

    def __init__(self, names: Sequence[str] = (), *, fold: bool = False) -> None:
        self.names = list(names)
        self._fold = fold

    @cached_property
    def numbers(self) -> dict[str, int]:
        return {self.key(name): number for number, name in enumerate(self.names)}

    def key(self, name: str) -> str:
        return " ".join(name.casefold().split()) if self._fold else name

    def find(self, name: str) -> int | None:
        return self.numbers.get(self.key(name))

    def number(self, name: str) -> int:
        """The name's, given now if it had none."""
        key = self.key(name)
        found = self.numbers.get(key)
        if found is None:
            found = self.numbers[key] = len(self.names)
            self.names.append(name)
        return found


class Facts:
    """The facts of a collection, in the order in which they were stated."""

    def __init__(self) -> None:
        self.entities, self.relations, self.documents, self.readers = Names(fold=True), Names(), Names(), Names()
        self._columns: dict[str, NDArray[Any]] = {name: np.zeros(64, dtype=kind) for name, kind in _COLUMNS.items()}
        self._count = 0
        self._by: dict[str, tuple[NDArray[np.int64], NDArray[np.int64]]] = {}
        self._fresh: dict[str, dict[int, list[int]]] = {}
        self._stated: dict[int, array[int]] = {}
        """What documents that were looked at state now."""

    def __len__(self) -> int:
        return self._count

    def column(self, name: str) -> NDArray[Any]:
        return self._columns[name][: self._count]

    def fact(self, index: int) -> Fact:
        value: dict[str, int] = {name: column[index].item() for name, column in self._columns.items()}
        return Fact(
            subject=self.entities.names[value["subject"]],
            relation=self.relations.names[value["relation"]],
            object=self.entities.names[value["object"]],
            document=self.documents.names[value["document"]],
            confidence=round(float(self._columns["confidence"][index]), 6),
            valid_from=value["valid_from"] if value["valid_from"] != -FOREVER else None,
            valid_to=value["valid_to"] if value["valid_to"] != FOREVER else None,
            since=value["since"],
            until=value["until"] if value["until"] != FOREVER else None,
            by=self.readers.names[value["by"]],
        )

    # -- growing -----------------------------------------------------------------------------------------------

    def apply(self, versions: Iterable[Version]) -> None:
        """Versions as they follow in the log: what a document no longer states is closed, what it states anew begins."""
        for version in versions:
            if version.relations or version.id in self.documents.numbers:
                self._restate(version)

    def _restate(self, version: Version) -> None:
        before = self._stated_by(version.id)
        document = self.documents.number(version.id)
        stated = {self._row(version, i): i for i in range(len(version.relations))}
        now = self._stated[document] = array("q")
        for index in before:
            key = tuple(self._columns[name][index].item() for name in _KEY)
            if key in stated:
                self._read(index, version.relations[stated.pop(key)])  # it still says so
                now.append(index)
            else:
                self._columns["until"][index] = version.at
        for key, i in stated.items():
            now.append(self._count)
            self._append(dict(zip(_KEY, key, strict=True)), document, version, i)

    def _stated_by(self, name: str) -> Iterable[int]:
        """Facts that a document states now; what it ever stated is looked through once."""
        document = self.documents.numbers.get(name)
        if document is None:
            return ()
        known = self._stated.get(document)
        return self.held(self.places("document", document), None, None).tolist() if known is None else known

    def _row(self, version: Version, i: int) -> tuple[int, ...]:
        one = version.relations[i]
        return (
            self.entities.number(one.subject),
            self.relations.number(one.relation),
            self.entities.number(one.object),
            -FOREVER if one.valid_from is None else max(-FOREVER, min(one.valid_from, FOREVER)),
            FOREVER if one.valid_to is None else max(-FOREVER, min(one.valid_to, FOREVER)),
        )

    def _append(self, values: dict[str, int], document: int, version: Version, i: int) -> None:
        index = self._count
        if index == len(self._columns["since"]):
            for name, column in self._columns.items():
                grown = np.zeros(2 * index, dtype=column.dtype)
                grown[:index] = column
                self._columns[name] = grown
        values |= {"document": document, "since": version.at, "until": FOREVER}
        for name, value in values.items():
            self._columns[name][index] = value
        self._read(index, version.relations[i])
        self._count += 1
        for name in self._fresh:
            self._fresh[name].setdefault(values[name], []).append(index)

    def _read(self, index: int, one: Relation) -> None:
        """By whom, and how sure that is."""
        self._columns["by"][index] = self.readers.number(one.by)
        self._columns["confidence"][index] = one.confidence

    # -- looking up --------------------------------------------------------------------------------------------

    def places(self, name: str, number: int) -> NDArray[np.int64]:
        """Facts whose ``subject``, ``object`` or ``document`` has this number, in order."""
        if name not in self._by:
            column = self.column(name)
            order = np.argsort(column, kind="stable")
            self._by[name] = order, column[order]
            self._fresh[name] = {}
        order, keys = self._by[name]
        first, last = np.searchsorted(keys, [number, number + 1])
        fresh = self._fresh[name].get(number)
        return np.append(order[first:last], fresh) if fresh else order[first:last]

    def held(self, some: NDArray[np.int64], valid_at: int | None, known_at: int | None) -> NDArray[np.int64]:
        """Those that hold at ``valid_at`` (None: any time), as was known at ``known_at`` (None: now); ms since the epoch."""
        since, until = self._columns["since"][some], self._columns["until"][some]
        keep = until == FOREVER if known_at is None else (since <= known_at) & (known_at < until)
        if valid_at is not None:
            keep &= (self._columns["valid_from"][some] <= valid_at) & (valid_at < self._columns["valid_to"][some])
        return some[keep]

    # -- files -------------------------------------------------------------------------------------------------

    def save(self, folder: Path) -> None:
        folder.mkdir()
        names = [self.entities.names, self.relations.names, self.documents.names, self.readers.names]
        (folder / "names.msgpack").write_bytes(msgspec.msgpack.encode(names))
        for name in _COLUMNS:
            np.save(folder / f"{name}.npy", self.column(name))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Raises Damaged."""
        self = cls()
        try:
            names = msgspec.msgpack.decode((folder / "names.msgpack").read_bytes(), type=list[list[str]])
            columns: dict[str, NDArray[Any]] = {name: np.load(folder / f"{name}.npy") for name in _COLUMNS}
        except (OSError, ValueError, EOFError, msgspec.DecodeError) as error:
            raise Damaged(f"graph in {folder}: {error}") from error
        sizes = {column.shape for column in columns.values()}
        if len(names) != 4 or len(sizes) != 1 or any(columns[n].dtype != kind for n, kind in _COLUMNS.items()):
            raise Damaged(f"graph in {folder}: its columns do not agree")
        self.entities, self.relations, self.documents = Names(names[0], fold=True), Names(names[1]), Names(names[2])
        self.readers = Names(names[3])
        bounds = {"subject": names[0], "object": names[0], "relation": names[1], "document": names[2], "by": names[3]}
        self._count = len(columns["since"])
        if self._count:
            for name, known in bounds.items():
                if columns[name].min() < 0 or columns[name].max() >= len(known):
                    raise Damaged(f"graph in {folder}: {name} without a name")
            self._columns = columns
        return self

    def stats(self) -> dict[str, int]:
        alive = int(np.count_nonzero(self.column("until") == FOREVER))
        return {"entities": len(self.entities.names), "facts": alive, "closed": self._count - alive}


_KEY = ("subject", "relation", "object", "valid_from", "valid_to")
