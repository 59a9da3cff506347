"""The journal port: the durable truth of every run. Drivers live in ``clew.stores``.

Contract (tests/contracts/test_journal.py holds every driver to it):
- ``append`` is atomic, durable when it returns, and refuses a wrong ``expected`` sequence number or a stale epoch.
- Events are chained per run, run heads per commit in a ledger; payloads lie out of line and can be erased.
- Only the driver that claimed a run appends to it; others put messages into the inbox.
- Projections are written in the transaction of the events they read.
"""

from collections.abc import AsyncGenerator, Sequence
from typing import Any, Literal, Protocol

import msgspec

from clew.core.events import Event

RunState = Literal["queued", "running", "waiting", "completed", "failed", "cancelled"]
MessageKind = Literal["answer", "cancel", "pause", "unpause"]


class Head(msgspec.Struct, frozen=True):
    """The last event of a run and its chain hash; ``Head(0, "")`` before the first."""

    seq: int
    hash: str


class Record(msgspec.Struct, frozen=True):
    """A stored event. ``erased``: the payload is gone (``event.payload`` is None)."""

    run: str
    seq: int
    event: Event
    hash: str
    erased: bool = False


class Append(msgspec.Struct, frozen=True, kw_only=True):
    """One atomic append. ``state`` and ``status`` are what the run list shows afterwards; ``consumed`` are the inbox messages
    whose effect these events are (deleted in the same transaction); ``epoch`` fences a driver that lost the run.

    A run is created by an append with ``expected`` 0 whose first fact is RunStarted. Its epoch becomes 1 and it is claimed
    for this journal; with ``state`` "queued" it stays at epoch 0 and nobody's. (``epoch`` is not looked at then.)
    An append that ends the run also lets go of it: what is to be added later (a note, an erasure) needs a new claim.
    Payloads must not be changed by anybody once they are handed over."""

    run: str
    expected: int
    events: Sequence[Event]
    epoch: int
    state: RunState
    consumed: tuple[int, ...] = ()


class RunRow(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the run list. Times in ms since the epoch; ``owner`` is the process that drives it, "" for none;
    ``cost`` in US dollars, a decimal number in text; ``fork_of`` is the run it was forked from."""

    run: str
    workflow: str
    plan: str
    state: RunState
    status: str | None
    created: int
    updated: int
    head: Head
    owner: str
    parent: str
    fork_of: str
    tenant: str
    user: str
    cost: str
    epoch: int = 0
    idempotency: str = ""


class RunFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Newest first. ``prefix`` selects run ids by their beginning; ``before``: only runs created before that run (for the
    next page); ``updated_before``: only runs whose last event is older (ms since the epoch)."""

    states: tuple[RunState, ...] = ()
    workflow: str = ""
    parent: str | None = None
    prefix: str = ""
    idempotency: str = ""
    tenant: str = ""
    before: str = ""
    updated_before: int | None = None
    limit: int = 100


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """Something another process wants done to a run. ``key``: the wait that an answer is for."""

    id: int
    run: str
    kind: MessageKind
    key: str
    body: Any
    at: int


class Finding(msgspec.Struct, frozen=True):
    """One thing that verification found wrong. ``seq`` 0: the run or the ledger as a whole."""

    run: str
    seq: int
    what: str
    message: str


class Bundle(msgspec.Struct, frozen=True, kw_only=True):
    """A run as it is exported: raw envelopes, hashes, payloads with their salts, the blobs they name (the plan among them)."""

    format: int
    run: str
    redacted: bool
    events: tuple["BundleEvent", ...]
    blobs: dict[str, bytes]


class BundleEvent(msgspec.Struct, frozen=True, kw_only=True):
    """``payload`` None: erased, or left out of a redacted bundle."""

    envelope: bytes
    digest: str
    hash: str
    salt: bytes | None = None
    payload: bytes | None = None


class Journal(Protocol):
    """See the module's contract. Every method may raise JournalError."""

    async def append(self, batch: Append) -> Head:
        """The new head; its hash is "" where the driver computes hashes only when they are asked for (``row`` has them).

        Raises Conflict on a wrong ``expected``, a stale ``epoch``, a consumed message that is gone, or (code
        "idempotency") when a run of this tenant has the key already; JournalError when it cannot be made durable: then
        nothing was written and the driver must stop. Cancelled while it waits, the append may or may not have happened.
        """
        ...

    async def read(self, run: str, after: int = 0, upto: int | None = None) -> list[Record]:
        """Events ``after < seq <= upto`` in order. Raises NotFound for an unknown run."""
        ...

    def follow(self, run: str, after: int = 0) -> AsyncGenerator[Record]:
        """Events as they come, also those of other processes; ends after ``RunFinished``."""
        ...

    async def row(self, run: str) -> RunRow:
        """Raises NotFound."""
        ...

    async def runs(self, where: RunFilter) -> list[RunRow]: ...

    async def claim(self, run: str) -> int:
        """Become the driver; returns the new epoch. Raises Conflict when a living process holds the run."""
        ...

    async def release(self, run: str) -> None:
        """Let others drive the run. Nothing happens when it is not held here."""
        ...

    async def put_message(self, run: str, kind: MessageKind, key: str, body: Any) -> int:
        """Raises NotFound for an unknown run, Conflict for one that has ended."""
        ...

    async def messages(self, runs: Sequence[str]) -> list[Message]:
        """Unconsumed messages for these runs, oldest first."""
        ...

    async def erase(self, run: str, seqs: Sequence[int] | None = None) -> int:
        """Forget payloads (None: all) and their salts, and blobs nobody else names; returns how many. The ledger says so,
        which is how ``verify`` tells an erasure from a theft. Raises Conflict for a run that is driven."""
        ...

    async def ledger(self) -> Head:
        """The head of the ledger over all runs: keep it elsewhere and give it to ``verify`` to see a cut tail."""
        ...

    async def verify(self, run: str | None = None, head: Head | None = None) -> list[Finding]:
        """Recompute chains, payload digests and the ledger of one run or of all; ``head``: one kept elsewhere, of the run
        or, without a run, of the ledger."""
        ...

    async def dump(self, run: str, *, redacted: bool = False) -> Bundle: ...

    async def load(self, bundle: Bundle) -> None:
        """Take in an exported run after verifying its chain; one that had not finished becomes "waiting" and nobody's.

        Raises Conflict when the run is here already, Tampered when the bundle does not hold."""
        ...

    async def rows(
        self, projection: str, where: dict[str, str | int] | None = None, limit: int = 1000, *, newest: bool = False
    ) -> list[dict[str, Any]]:
        """Read a registered projection's table in order of insertion; ``where`` is column -> equal value.

        ``newest``: where there are more rows than ``limit``, the last ones. Raises UsageError for unknown names."""
        ...

    async def close(self) -> None: ...


class Blobs(Protocol):
    """Content-addressed bytes, by SHA-256."""

    async def put(self, data: bytes) -> str: ...

    async def get(self, address: str) -> bytes:
        """Raises NotFound, or Tampered when the bytes are not those of the address."""
        ...
