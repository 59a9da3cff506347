"""The memory journal: appends cost next to nothing; hashes, rows and projections are computed when they are asked for."""

import sqlite3
from collections.abc import AsyncGenerator, Iterator, Sequence
from typing import Any

from clew.core.codec import decode_payload
from clew.core.errors import Conflict, JournalError, NotFound, UsageError
from clew.core.events import RunFinished
from clew.gate.ports.clock import Clock
from clew.gate.ports.journal import (
    Append,
    Bundle,
    Finding,
    Head,
    Message,
    MessageKind,
    Record,
    RunFilter,
    RunRow,
)
from clew.gate.ports.projection import Projection
from clew.stores.audit import (
    LedgerAudit,
    LedgerRow,
    Note,
    RunAudit,
    check_blob,
    check_head,
    decode_note,
    encode_note,
    ledger_link,
)
from clew.stores.bundles import unpack
from clew.stores.memory.blobs import MemoryBlobs
from clew.stores.memory.run import MemoryRun, adopt
from clew.stores.messages import encode_body
from clew.stores.projecting import Registry
from clew.stores.runcard import ENDED
from clew.stores.signal import Signal, follow
from clew.stores.wallclock import WallClock

_OWNER = "memory"


class MemoryJournal:
    """The journal port in memory. Payloads are kept as they are given; who appends must not change them afterwards."""

    def __init__(self, *, projections: Sequence[Projection] = (), clock: Clock | None = None) -> None:
        self._registry = Registry(projections)
        self._clock = clock or WallClock()
        self._runs: dict[str, MemoryRun] = {}
        self._keys: dict[tuple[str, str], str] = {}
        self._ledger: list[tuple[MemoryRun, int, str | None]] = []
        self._links: list[str] = []
        self._messages = 0
        self._signal = Signal()
        self._tables: sqlite3.Connection | None = None
        self._projected = 0
        self._closed = False
        self.blobs = MemoryBlobs()

    async def append(self, batch: Append) -> Head:
        """See the port. The head's hash is left empty: ``row`` computes it."""
        if self._closed:
            raise JournalError("the memory journal was closed", hint="make a new one")
        run = self._runs.get(batch.run)
        events = batch.events
        if run is None:
            run = self._create(batch)
        elif batch.expected != len(run.events):
            raise Conflict(
                f"run {batch.run} has {len(run.events)} events, not {batch.expected}: somebody else appended"
            )
        elif not run.owner:
            raise Conflict(f"run {batch.run} is not driven by this process", hint="claim it first")
        elif batch.epoch != run.epoch:
            raise Conflict(f"run {batch.run} is driven in epoch {run.epoch}, this append is of epoch {batch.epoch}")
        elif not events:
            raise UsageError(f"run {batch.run}: an append has at least one event")
        ended = run.ended
        for event in events:
            if type(event.fact) is RunFinished:
                ended = event.fact.state
        if batch.state != ended and (ended is not None or batch.state in ENDED):
            raise UsageError(f"run {batch.run}: state {batch.state!r} does not follow from its events (ended: {ended})")
        if batch.consumed or ended:
            self._consume(run, batch.consumed, ended=ended is not None)
        if not run.events:
            self._enlist(run)
        run.events.extend(events)
        run.state, run.ended = batch.state, ended
        if ended:
            run.owner = ""
        self._ledger.append((run, len(run.events), None))
        self._signal.notify()
        return Head(len(run.events), "")

    def _create(self, batch: Append) -> MemoryRun:
        if batch.expected != 0:
            raise Conflict(f"run {batch.run} is not driven by this process", hint="claim it first")
        if not batch.events:
            raise UsageError(f"run {batch.run}: an append has at least one event")
        run = MemoryRun(batch.run, len(self._runs), batch.events[0], batch.state)
        if run.card.idempotency and (run.card.tenant, run.card.idempotency) in self._keys:
            raise Conflict(
                f"run {batch.run}: another run of this tenant has the same idempotency key",
                code="idempotency",
                hint="ask for that run's result instead",
            )
        if batch.state != "queued":
            run.owner, run.epoch = _OWNER, 1
        return run

    def _enlist(self, run: MemoryRun) -> None:
        self._runs[run.run] = run
        if run.card.idempotency:
            self._keys[run.card.tenant, run.card.idempotency] = run.run

    @staticmethod
    def _consume(run: MemoryRun, consumed: tuple[int, ...], *, ended: bool) -> None:
        gone = set(consumed) - {message.id for message in run.inbox}
        if gone:
            raise Conflict(f"run {run.run}: message {min(gone)} was consumed already")
        run.inbox = [] if ended else [message for message in run.inbox if message.id not in consumed]

    def _find(self, run: str) -> MemoryRun:
        if self._closed:
            raise JournalError("the memory journal was closed", hint="make a new one")
        if run not in self._runs:
            raise NotFound(f"there is no run {run!r} in this journal", hint="`clew runs` lists them")
        return self._runs[run]

    async def read(self, run: str, after: int = 0, upto: int | None = None) -> list[Record]:
        """See the port."""
        return self._find(run).records(after, upto)

    def follow(self, run: str, after: int = 0) -> AsyncGenerator[Record]:
        """See the port."""

        async def changed(_: int) -> None:
            await self._signal.wait()

        return follow(lambda after: self.read(run, after), lambda: self.row(run), after, lambda: 0, changed)

    async def row(self, run: str) -> RunRow:
        """See the port."""
        return self._find(run).row()

    async def runs(self, where: RunFilter) -> list[RunRow]:
        """See the port."""
        found: list[RunRow] = []
        below = self._find(where.before).number if where.before else len(self._runs)
        for run in reversed(self._runs.values()):
            if len(found) >= where.limit:
                break
            if run.number < below and run.passes(where):
                found.append(run.row())
        return found

    async def claim(self, run: str) -> int:
        """See the port."""
        found = self._find(run)
        if found.owner:
            raise Conflict(f"run {run} is driven by this process already", code="driven")
        found.owner, found.epoch = _OWNER, found.epoch + 1
        return found.epoch

    async def release(self, run: str) -> None:
        """See the port."""
        if run in self._runs:
            self._runs[run].owner = ""

    def die(self) -> None:
        """For tests: let go of every run as the death of a process does."""
        for run in self._runs.values():
            run.owner = ""

    async def put_message(self, run: str, kind: MessageKind, key: str, body: Any) -> int:
        """See the port."""
        plain = decode_payload(encode_body(body))
        found = self._find(run)
        if found.state in ENDED:
            raise Conflict(f"run {run} has ended ({found.state}): it takes no more messages")
        self._messages += 1
        found.inbox.append(Message(id=self._messages, run=run, kind=kind, key=key, body=plain, at=self._clock.now()))
        self._signal.notify()
        return self._messages

    async def messages(self, runs: Sequence[str]) -> list[Message]:
        """See the port."""
        found = [message for run in dict.fromkeys(runs) if run in self._runs for message in self._runs[run].inbox]
        return sorted(found, key=lambda message: message.id)

    async def erase(self, run: str, seqs: Sequence[int] | None = None) -> int:
        """See the port."""
        found = self._find(run)
        if found.owner:
            raise Conflict(f"run {run} is driven by this process", code="driven", hint="wait until it has ended")
        seen = found.projected
        erased = found.erase(None if seqs is None else set(seqs))
        if erased:
            self._ledger.append((found, len(found.events), encode_note(Note(erased=erased))))
            if self._tables is not None:
                self._registry.redo(run, found.entries(0, seen), self._tables, self._registry.projections)
        return len(erased)

    async def ledger(self) -> Head:
        """See the port."""
        links = self._link_ledger()
        return Head(len(links), links[-1] if links else "")

    def _link_ledger(self) -> list[str]:
        links = self._links
        for n in range(len(links) + 1, len(self._ledger) + 1):
            run, seq, note = self._ledger[n - 1]
            head = Head(seq, run.link()[seq - 1].hash)
            links.append(ledger_link(links[-1] if links else "", n, run.run, head, note))
        return links

    async def verify(self, run: str | None = None, head: Head | None = None) -> list[Finding]:
        """See the port."""
        chosen = list(self._runs.values()) if run is None else [self._find(run)]
        return list(self._findings(chosen, run, head))

    def _findings(self, chosen: list[MemoryRun], run: str | None, head: Head | None) -> Iterator[Finding]:
        erased: set[tuple[str, int]] = set()
        audit = LedgerAudit()
        for n, (link, (owner, seq, note)) in enumerate(zip(self._link_ledger(), self._ledger, strict=True), 1):
            hashed = owner.link()[seq - 1].hash
            yield from audit.take(LedgerRow(n, owner.run, seq, hashed, link, note, hashed))
            erased.update((owner.run, seq) for seq in decode_note(note).erased)
        for one in chosen:
            check = RunAudit(one.run, lambda seq, name=one.run: (name, seq) in erased)
            for stored in one.link():
                yield from check.take(stored)
            yield from check.finish(one.row().head)
        if head is not None:
            links = self._link_ledger() if run is None else [stored.hash for stored in chosen[0].link()]
            yield from check_head(run or "", head, links[head.seq - 1] if 0 < head.seq <= len(links) else None)
        if run is None:
            for address, data in self.blobs.data.items():
                yield from check_blob(address, len(data), data)

    async def dump(self, run: str, *, redacted: bool = False) -> Bundle:
        """See the port."""
        found = self._find(run)
        plan = self.blobs.data.get(found.card.plan)
        return found.bundle(redacted, {} if plan is None else {found.card.plan: plan})

    async def load(self, bundle: Bundle) -> None:
        """See the port."""
        unpacked = unpack(bundle)
        if bundle.run in self._runs:
            raise Conflict(
                f"run {bundle.run} is in this journal already", hint="import it into another state directory"
            )
        run = adopt(unpacked, len(self._runs))
        self._runs[bundle.run] = run
        self.blobs.data.update(bundle.blobs)
        self._ledger.append((run, len(run.events), encode_note(unpacked.note)))
        self._signal.notify()

    async def rows(
        self, projection: str, where: dict[str, str | int] | None = None, limit: int = 1000, *, newest: bool = False
    ) -> list[dict[str, Any]]:
        """See the port."""
        self._registry.find(projection)
        if self._tables is None:
            self._tables = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
            for one in self._registry.projections.values():
                self._registry.create(one, self._tables)
        for run, seq, _ in self._ledger[self._projected :]:
            for entry in run.entries(run.projected, seq):
                self._registry.apply_all(entry, self._tables)
            run.projected = max(run.projected, seq)
        self._projected = len(self._ledger)
        return self._registry.select(projection, where, limit, self._tables, newest=newest)

    async def close(self) -> None:
        """Let go of everything. A second call does nothing."""
        self._closed = True
        if self._tables is not None:
            self._tables.close()
            self._tables = None
