"""The SQLite journal: the port over one connection, group commit, and the threads that long readings run in.

Appends are written at once, without leaving the caller's step, while one task appends; as soon as a second one does within
the same turn of the event loop, they are collected until its next turn and written as one transaction with one sync.
"""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from clew.core.errors import Conflict, JournalError
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
from clew.stores.bundles import unpack
from clew.stores.projecting import Registry
from clew.stores.signal import Signal, follow
from clew.stores.sqlite import bundle as bundles
from clew.stores.sqlite import inbox, projected
from clew.stores.sqlite.blobs import SqliteBlobs
from clew.stores.sqlite.claims import claim, release
from clew.stores.sqlite.commit import Committer, Job
from clew.stores.sqlite.connection import connect, create_file, translated
from clew.stores.sqlite.erase import empty_log, erase
from clew.stores.sqlite.migrate import migrate
from clew.stores.sqlite.owner import Owner
from clew.stores.sqlite.tables import last_ledger, list_runs, records, run_row
from clew.stores.sqlite.verify import verify
from clew.stores.wallclock import WallClock

_T = TypeVar("_T")
_TURN = 16
"""Appends of one task within one turn of the loop before others get theirs."""


class _Waiting(Job):
    __slots__ = ("future",)

    def __init__(self, batch: Append, future: "asyncio.Future[Head]") -> None:
        super().__init__(batch)
        self.future = future


class SqliteJournal:
    """The journal port on a file. Make one with ``open``; use it from one event loop at a time."""

    def __init__(self, connection: sqlite3.Connection, path: Path, registry: Registry, clock: Clock) -> None:
        self._connection = connection
        self._path = path
        self._registry = registry
        self._clock = clock
        self._owner = Owner(path.parent / "owners")
        self._committer = Committer(connection, path, self._owner, registry)
        self._signal = Signal()
        self._pending: list[_Waiting] = []
        self._pending_loop: asyncio.AbstractEventLoop | None = None
        self._crowd = False
        self._turn: asyncio.Task[Any] | None = None
        self._taken = 0
        self._closed = False
        self.blobs = SqliteBlobs(connection, path)

    @classmethod
    def open(cls, path: Path, *, projections: Sequence[Projection] = (), clock: Clock | None = None) -> "SqliteJournal":
        """Open or create the journal, bring it to the newest schema, build missing projections. Raises JournalError."""
        registry = Registry(projections)
        if not path.exists():
            create_file(path)
        connection = connect(path)
        try:
            migrate(connection, path)
            with translated(path):
                projected.install(connection, registry)
        except BaseException:
            connection.close()
            raise
        return cls(connection, path, registry, clock or WallClock())

    async def append(self, batch: Append) -> Head:
        """See the port. Written before this returns; does not leave the caller's step while one task appends."""
        self._check_open()
        task = asyncio.current_task()
        if (
            self._pending
            or self._crowd
            or (self._turn is not None and (self._turn is not task or self._taken >= _TURN))
        ):
            return await self._queue(batch)
        self._open_turn(task)
        job = Job(batch)
        self._committer.write((job,))
        head = job.result()
        self._signal.notify()
        return head

    def _open_turn(self, task: "asyncio.Task[Any] | None") -> None:
        if self._turn is None:
            self._taken = 0
            asyncio.get_running_loop().call_soon(self._close_turn)
        self._turn = task
        self._taken += 1

    def _close_turn(self) -> None:
        self._turn = None

    def _queue(self, batch: Append) -> "asyncio.Future[Head]":
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Head] = loop.create_future()
        if not self._pending or self._pending_loop is not loop:
            loop.call_soon(self._flush)
            self._pending_loop = loop
        self._pending.append(_Waiting(batch, future))
        return future

    def _flush(self) -> None:
        """Write what was collected; cancelled appends are left out."""
        jobs = [job for job in self._pending if not job.future.done()]
        self._pending = []
        self._turn = None
        self._crowd = len(jobs) > 1
        if not jobs:
            return
        self._committer.write(jobs)
        for job in jobs:
            if job.head is None:
                job.future.set_exception(job.error or JournalError("the append was not written"))
            else:
                job.future.set_result(job.head)
        self._signal.notify()

    async def read(self, run: str, after: int = 0, upto: int | None = None) -> list[Record]:
        """See the port."""
        return self._do(lambda: records(self._connection, run, after, upto))

    def follow(self, run: str, after: int = 0) -> AsyncGenerator[Record]:
        """See the port. Local appends wake at once, those of other processes are looked for every 100 ms."""
        return follow(lambda after: self.read(run, after), lambda: self.row(run), after, self._version, self._changed)

    def _version(self) -> int:
        """Changes with every commit of another connection."""
        return self._do(lambda: self._connection.execute("PRAGMA data_version").fetchone()[0])

    async def _changed(self, seen: int) -> None:
        await self._signal.wait_or(self._clock, lambda: self._version() != seen)

    async def row(self, run: str) -> RunRow:
        """See the port."""
        return self._living(self._do(lambda: [run_row(self._connection, run)[0]]))[0]

    async def runs(self, where: RunFilter) -> list[RunRow]:
        """See the port."""
        return self._living(self._do(lambda: list_runs(self._connection, where)))

    def _living(self, rows: list[RunRow]) -> list[RunRow]:
        """A run whose driver died is driven by nobody, whatever its row says until somebody claims it."""
        dead = {owner for owner in {row.owner for row in rows if row.owner} if not self._owner.alive(owner)}
        return [msgspec.structs.replace(row, owner="") if row.owner in dead else row for row in rows] if dead else rows

    async def claim(self, run: str) -> int:
        """See the port."""
        self._committer.check()
        if run in self._committer.held:
            raise Conflict(f"run {run} is driven by this process already", code="driven")
        held = self._change(lambda: claim(self._connection, run, self._owner))
        self._committer.held[run] = held
        return held.epoch

    async def release(self, run: str) -> None:
        """See the port."""
        self._flush()
        held = self._committer.held.pop(run, None)
        if held is not None:
            self._change(lambda: release(self._connection, (held,), self._owner))

    async def put_message(self, run: str, kind: MessageKind, key: str, body: Any) -> int:
        """See the port."""
        number = self._change(lambda: inbox.put(self._connection, run, kind, key, body, self._clock.now()))
        self._signal.notify()
        return number

    async def messages(self, runs: Sequence[str]) -> list[Message]:
        """See the port."""
        return self._do(lambda: inbox.waiting(self._connection, runs))

    async def erase(self, run: str, seqs: Sequence[int] | None = None) -> int:
        """See the port. Raises JournalError when old pages cannot be wiped because another process reads: do it again then."""
        count = self._change(lambda: erase(self._connection, run, seqs, self._owner, self._registry))
        self._change(lambda: empty_log(self._connection, self._path))
        return count

    async def ledger(self) -> Head:
        """See the port."""
        return Head(*self._do(lambda: last_ledger(self._connection)))

    async def verify(self, run: str | None = None, head: Head | None = None) -> list[Finding]:
        """See the port. Reads in a thread, on a connection of its own."""
        self._check_open()
        return await asyncio.to_thread(verify, self._path, run, head)

    async def dump(self, run: str, *, redacted: bool = False) -> Bundle:
        """See the port."""
        return self._do(lambda: bundles.dump(self._connection, run, redacted))

    async def load(self, bundle: Bundle) -> None:
        """See the port."""
        unpacked = unpack(bundle)
        self._change(lambda: bundles.load(self._connection, unpacked, self._registry))
        self._signal.notify()

    async def rows(
        self, projection: str, where: dict[str, str | int] | None = None, limit: int = 1000, *, newest: bool = False
    ) -> list[dict[str, Any]]:
        """See the port."""
        found = self._registry.find(projection)
        behind = found.lazy
        while behind:
            behind = self._change(lambda: projected.catch_up(self._connection, found))
            await asyncio.sleep(0)
        return self._do(lambda: self._registry.select(projection, where, limit, self._connection, newest=newest))

    async def close(self) -> None:
        """Write what is pending, let go of every run and of the lock. A second call does nothing."""
        if self._closed:
            return
        self._flush()
        self._closed = True
        held, self._committer.held = self._committer.held, {}
        try:
            # What cannot be written (disk full) does no harm: without its lock this owner counts as dead.
            with suppress(sqlite3.Error):
                if held:
                    release(self._connection, held.values(), self._owner)
        finally:
            self._connection.close()
            self._owner.close()

    def _check_open(self) -> None:
        if self._closed:
            raise JournalError(f"journal {self._path} was closed", hint="open it again")

    def _do(self, call: Callable[[], _T]) -> _T:
        self._check_open()
        with translated(self._path):
            return call()

    def _change(self, call: Callable[[], _T]) -> _T:
        self._committer.check()
        return self._do(call)
