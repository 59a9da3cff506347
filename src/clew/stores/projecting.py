"""Keeping projections: their tables, which fact goes where, and reading them. Works on any SQLite connection."""

import re
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from clew.core.errors import UsageError
from clew.gate.ports.projection import Entry, Projection, Tx

_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_RESERVED = frozenset({"runs", "events", "payloads", "blobs", "inbox", "ledger", "projections"})
MAX_ROWS = 100_000


class Registry:
    """The projections of one journal. Names are checked here once, so that they may stand in SQL."""

    def __init__(self, projections: Sequence[Projection]) -> None:
        self.projections = {projection.name: projection for projection in projections}
        self.tables: dict[str, Projection] = {}
        self._columns: dict[str, tuple[str, ...]] = {}
        self._eager: dict[type, list[Projection]] = {}
        if len(self.projections) != len(projections):
            raise UsageError("two projections have the same name")
        for projection in projections:
            self._register(projection)

    def _register(self, projection: Projection) -> None:
        if not projection.lazy:
            for fact in projection.facts:
                self._eager.setdefault(fact, []).append(projection)
        for name in (projection.name, *projection.tables):
            if not _NAME.fullmatch(name) or name in _RESERVED:
                raise UsageError(f"projection {projection.name!r}: {name!r} cannot be the name of a table")
        for table in projection.tables:
            if table in self.tables:
                raise UsageError(f"table {table!r} belongs to two projections")
            self.tables[table] = projection

    def reads(self, fact: type) -> bool:
        """Whether an append must apply this fact."""
        return fact in self._eager

    def apply(self, entry: Entry, tx: Tx) -> None:
        """Apply one event to the projections that are kept within the append."""
        for projection in self._eager.get(type(entry.fact), ()):
            projection.apply(entry, tx)

    def apply_all(self, entry: Entry, tx: Tx) -> None:
        """Apply one event to every projection."""
        for projection in self.projections.values():
            if type(entry.fact) in projection.facts:
                projection.apply(entry, tx)

    def create(self, projection: Projection, connection: sqlite3.Connection) -> None:
        """Drop and create the tables of a projection. Raises UsageError for one without a column ``run``."""
        for table, statements in projection.tables.items():
            connection.execute(f"DROP TABLE IF EXISTS {table}")
            for statement in statements:
                connection.execute(statement)
            self._columns.pop(table, None)
            if "run" not in self.columns(table, connection):
                raise UsageError(f"table {table!r} of projection {projection.name!r} needs a column 'run'")

    def redo(self, run: str, entries: Iterable[Entry], connection: sqlite3.Connection, names: Iterable[str]) -> None:
        """Build the rows of one run anew in the named projections."""
        chosen = [self.projections[name] for name in names]
        for projection in chosen:
            for table in projection.tables:
                connection.execute(f"DELETE FROM {table} WHERE run = ?", (run,))  # noqa: S608 - a registered name
        for entry in entries:
            for projection in chosen:
                if type(entry.fact) in projection.facts:
                    projection.apply(entry, connection)

    def columns(self, table: str, connection: sqlite3.Connection) -> tuple[str, ...]:
        if table not in self._columns:
            info = connection.execute(f"PRAGMA table_info({table})").fetchall()
            self._columns[table] = tuple(str(row[1]) for row in info)
        return self._columns[table]

    def find(self, table: str) -> Projection:
        """Raises UsageError for a table of no projection."""
        if table not in self.tables:
            known = ", ".join(sorted(self.tables)) or "none"
            raise UsageError(f"there is no projection {table!r} (registered: {known})")
        return self.tables[table]

    def select(
        self,
        table: str,
        where: Mapping[str, str | int] | None,
        limit: int,
        connection: sqlite3.Connection,
        *,
        newest: bool = False,
    ) -> list[dict[str, Any]]:
        """Rows in order of insertion. Raises UsageError for unknown names."""
        self.find(table)
        columns = self.columns(table, connection)
        for column in where or {}:
            if column not in columns:
                raise UsageError(f"projection {table!r} has no column {column!r} (it has {', '.join(columns)})")
        if not 0 < limit <= MAX_ROWS:
            raise UsageError(f"limit is 1 to {MAX_ROWS}, not {limit}")
        test = " AND ".join(f"{column} = ?" for column in where) if where else "1"
        order = "rowid DESC" if newest else "rowid"
        sql = f"SELECT {', '.join(columns)} FROM {table} WHERE {test} ORDER BY {order} LIMIT ?"  # noqa: S608 - registered names
        found = connection.execute(sql, (*(where or {}).values(), limit)).fetchall()
        return [dict(zip(columns, row, strict=True)) for row in (reversed(found) if newest else found)]
