"""The projection port: a table derived from events, written in their transaction, rebuilt when its version changes.

Laws: every table has a ``run`` column (text); a row depends on the events of that run alone. So a projection can be brought
up to date run by run: after an erasure or an import the rows of that run are deleted and its events applied again.
"""

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from clew.core.events import Fact


class Entry(msgspec.Struct, frozen=True):
    """An event as it is stored. ``body``: the payload's JSON, ``b""`` where there is none or it was erased."""

    run: str
    seq: int
    at: int
    fact: Fact
    body: bytes = b""


class Tx(Protocol):
    """What a projection may do within the transaction: SQL with ``?`` parameters on its own tables."""

    def execute(self, sql: str, parameters: tuple[Any, ...] = (), /) -> Any: ...


class Projection(Protocol):
    """``tables`` maps table name -> its CREATE TABLE/INDEX statements; ``apply`` is called for events whose fact is one of
    ``facts``, in order per run, and must depend on the entry and the tables only. ``lazy``: brought up to date when it is
    read, not within the append (for tables on which nothing is decided and that nearly every event would write)."""

    name: str
    version: int
    lazy: bool
    facts: tuple[type, ...]
    tables: Mapping[str, tuple[str, ...]]

    def apply(self, entry: Entry, tx: Tx) -> None: ...
