"""The write path: a group of appends becomes one transaction and one sync of the disk.

Hashes are computed before the write lock is taken. The run list row is the gate: its update names the head, epoch and owner
that the driver believes in; when one does not hold, the whole group is rolled back and each append is tried by itself, so
that a conflict fails the append that caused it and no other. What is cached of a run changes only after the commit.
"""

import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from clew.core.codec import encode_envelope, encode_payload
from clew.core.errors import Conflict, JournalError, UsageError
from clew.core.events import EffectFinished, Event, RunFinished
from clew.core.identity import chain, payload_digest
from clew.gate.ports.journal import Append, Head
from clew.gate.ports.projection import Entry
from clew.stores.money import to_pico
from clew.stores.projecting import Registry
from clew.stores.runcard import ENDED, RunCard, open_card
from clew.stores.sqlite.connection import explain
from clew.stores.sqlite.owner import Owner
from clew.stores.sqlite.rows import Line, Rows
from clew.stores.sqlite.tables import Held, insert_run, last_event, last_ledger, next_run_id

_SALT = 16
_SALTS = 256


class _Lost(Conflict):
    """Somebody else drives the run by now."""


class Job:
    """One append on its way; afterwards ``head`` or ``error`` is set."""

    __slots__ = ("batch", "error", "head")

    def __init__(self, batch: Append) -> None:
        self.batch = batch
        self.head: Head | None = None
        self.error: BaseException | None = None

    def result(self) -> Head:
        """The new head, or the error raised."""
        if self.head is None:
            raise self.error or JournalError("the append was not written")
        return self.head


class _Draft:
    """A run within the transaction: ``before`` as it is on disk, ``after`` as it will be; ``card``: it is created."""

    __slots__ = ("after", "before", "card", "updated")

    def __init__(self, before: Held, card: RunCard | None) -> None:
        self.before = before
        self.after = before.copy()
        self.card = card
        self.updated = 0


class Committer:
    """Writes appends. One per journal; used from one thread at a time."""

    def __init__(self, connection: sqlite3.Connection, path: Path, owner: Owner, registry: Registry) -> None:
        self._connection = connection
        self._path = path
        self._owner = owner
        self._registry = registry
        self._salts = b""
        self._pid = os.getpid()
        self.held: dict[str, Held] = {}
        self.broken: JournalError | None = None

    def write(self, jobs: Sequence[Job]) -> None:
        """Make the appends durable; each job gets its head or its error."""
        drafts: dict[str, _Draft] = {}
        ready: list[tuple[Job, _Draft, list[Line]]] = []
        refused = self._refusal()
        for job in jobs:
            job.head, job.error = None, refused
            try:
                if refused is None:
                    ready.append((job, *self._prepare(job.batch, drafts)))
            except Exception as error:
                job.error = error
        if not ready:
            return
        try:
            self._transaction(ready, drafts)
        except BaseException as error:
            self._failed(error, ready, drafts)
            return
        for run, draft in drafts.items():
            if draft.after.ended:
                self.held.pop(run, None)
            elif draft.after.epoch:
                self.held[run] = draft.after

    def _failed(
        self, error: BaseException, ready: list[tuple[Job, _Draft, list[Line]]], drafts: dict[str, _Draft]
    ) -> None:
        self._rollback()
        alone = isinstance(error, Exception) and (
            not isinstance(error, sqlite3.Error) or isinstance(error, sqlite3.IntegrityError)
        )
        if len(ready) > 1 and alone:
            for job, _, _ in ready:
                self.write((job,))
            return
        mended = self._translate(error, ready[0][0].batch)
        for job, draft, _ in ready:
            job.head, job.error = None, mended
            if isinstance(mended, _Lost):
                self.held.pop(draft.before.run, None)

    def _translate(self, error: BaseException, batch: Append) -> BaseException:
        if isinstance(error, sqlite3.IntegrityError):
            if "idempotency" in str(error):
                return Conflict(
                    f"run {batch.run}: another run of this tenant has the same idempotency key",
                    code="idempotency",
                    hint="ask for that run's result instead",
                )
            if "runs.run" in str(error):
                return Conflict(f"run {batch.run} exists already", hint="claim it to go on with it")
        if not isinstance(error, sqlite3.Error):
            return error
        mended = explain(error, self._path)
        # After a refused sync nobody knows which earlier writes reached the disk: only a fresh start can tell.
        if getattr(error, "sqlite_errorname", "").startswith(("SQLITE_IOERR", "SQLITE_CORRUPT", "SQLITE_NOTADB")):
            self.broken = mended
        return mended

    def _rollback(self) -> None:
        if self._connection.in_transaction:
            try:
                self._connection.execute("ROLLBACK")
            except sqlite3.Error as error:
                self.broken = explain(error, self._path)

    def check(self) -> None:
        """Raises JournalError when this journal must not be written any more."""
        refused = self._refusal()
        if refused is not None:
            raise refused

    def _refusal(self) -> JournalError | None:
        if self.broken is not None:
            return self.broken
        if os.getpid() != self._pid:
            return JournalError("this journal was opened before a fork", hint="open it again in the child process")
        return None

    def _prepare(self, batch: Append, drafts: dict[str, _Draft]) -> tuple[_Draft, list[Line]]:
        if not batch.events:
            raise UsageError(f"run {batch.run}: an append has at least one event")
        draft = drafts.get(batch.run) or self._draft(batch)
        after = draft.after
        if batch.expected != after.seq:
            raise Conflict(f"run {batch.run} has {after.seq} events, not {batch.expected}: somebody else appended")
        if draft.card is None and batch.epoch != after.epoch:
            raise Conflict(f"run {batch.run} is driven in epoch {after.epoch}, this append is of epoch {batch.epoch}")
        cost, status, ended = after.cost, after.status, after.ended
        seq, link = after.seq, after.hash
        lines: list[Line] = []
        for event in batch.events:
            seq += 1
            line = self._line(seq, link, event)
            link = line[3]
            lines.append(line)
            fact = event.fact
            if type(fact) is EffectFinished:
                cost += to_pico(fact.cost) if fact.cost else 0
            elif type(fact) is RunFinished:
                status, ended = fact.status, fact.state
        if batch.state != ended and (ended is not None or batch.state in ENDED):
            raise UsageError(f"run {batch.run}: state {batch.state!r} does not follow from its events (ended: {ended})")
        after.seq, after.hash, after.cost = seq, link, cost
        after.state, after.status, after.ended = batch.state, status, ended
        draft.updated = batch.events[-1].at
        drafts[batch.run] = draft
        return draft, lines

    def _draft(self, batch: Append) -> _Draft:
        held = self.held.get(batch.run)
        if held is not None:
            return _Draft(held, None)
        if batch.expected != 0:
            raise Conflict(f"run {batch.run} is not driven by this process", hint="claim it first")
        if not batch.events:
            raise UsageError(f"run {batch.run}: an append has at least one event")
        first = batch.events[0]
        card = open_card(batch.run, first.fact, first.at)
        if batch.state != "queued":
            self._owner.acquire()
        return _Draft(Held(batch.run, 0 if batch.state == "queued" else 1, batch.state), card)

    def _line(self, seq: int, link: str, event: Event) -> Line:
        envelope = encode_envelope(seq, event)
        try:
            payload = encode_payload(event.payload)
        except (TypeError, ValueError, RecursionError) as error:
            raise UsageError(f"the payload of {type(event.fact).__name__} is no JSON: {error}") from error
        if not payload:
            return seq, envelope, "", chain(link, envelope, ""), b"", payload
        salt = self._salt()
        digest = payload_digest(salt, payload)
        return seq, envelope, digest, chain(link, envelope, digest), salt, payload

    def _salt(self) -> bytes:
        if not self._salts:
            self._salts = os.urandom(_SALT * _SALTS)
        salt, self._salts = self._salts[:_SALT], self._salts[_SALT:]
        return salt

    def _transaction(self, ready: list[tuple[Job, _Draft, list[Line]]], drafts: dict[str, _Draft]) -> None:
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        rows = Rows(last_event(connection), *last_ledger(connection))
        born = rows.ledger + 1
        if any(draft.card for draft in drafts.values()):
            self._number(drafts)
        reads = self._registry.reads
        entries: list[Entry] = []
        for job, draft, lines in ready:
            job.head = rows.add(job.batch.run, draft.after, lines)
            for event, line in zip(job.batch.events, lines, strict=True):
                if reads(type(event.fact)):
                    entries.append(Entry(job.batch.run, line[0], event.at, event.fact, line[5]))
        self._update_runs(drafts, born)
        rows.insert(connection)
        for entry in entries:
            self._registry.apply(entry, connection)
        for job, draft, _ in ready:
            if job.batch.consumed or job.batch.state in ENDED:
                self._consume(job.batch, draft.after.id)
        connection.execute("COMMIT")

    def _number(self, drafts: dict[str, _Draft]) -> None:
        number = next_run_id(self._connection)
        for draft in drafts.values():
            if draft.card is not None:
                draft.after.id = number
                number += 1

    def _update_runs(self, drafts: dict[str, _Draft], born: int) -> None:
        """Heads first, state only where it changed: the index on open runs is then left alone."""
        heads: list[tuple[Any, ...]] = []
        shown: list[tuple[Any, ...]] = []
        me = self._owner.id
        for draft in drafts.values():
            before, after = draft.before, draft.after
            if draft.card is not None:
                draft.card.updated = draft.updated
                insert_run(self._connection, draft.card, after, me if after.epoch and not after.ended else "", born)
                continue
            head = (after.seq, after.last, bytes.fromhex(after.hash), draft.updated)
            heads.append((*head, before.id, before.seq, before.epoch, me))
            if before.state != after.state or before.status != after.status or before.cost != after.cost:
                shown.append((after.state, after.status, after.cost, "" if after.ended else me, after.id))
        if heads:
            sql = "UPDATE runs SET seq = ?, last = ?, hash = ?, updated = ? WHERE id = ? AND seq = ? AND epoch = ? AND owner = ?"
            if self._connection.executemany(sql, heads).rowcount != len(heads):
                names = ", ".join(sorted(drafts))
                raise _Lost(f"run {names} was taken over by another process", hint="this driver must stop")
        if shown:
            self._connection.executemany(
                "UPDATE runs SET state = ?, status = ?, cost = ?, owner = ? WHERE id = ?", shown
            )

    def _consume(self, batch: Append, run_id: int) -> None:
        for message in batch.consumed:
            found = self._connection.execute("DELETE FROM inbox WHERE id = ? AND run = ?", (message, run_id)).rowcount
            if found != 1:
                raise Conflict(f"run {batch.run}: message {message} was consumed already")
        if batch.state in ENDED:
            self._connection.execute("DELETE FROM inbox WHERE run = ?", (run_id,))
