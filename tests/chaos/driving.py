"""What one process of a trial does: drive the run of the chaos project as far as it gets, answering what it asks.

Run in a forked child of a warm process (``zygote.py``) or as a program of its own (``python driving.py JOB``). The working
directory is the trial's; the state directory lies in it. The process may be planned to die at a point of its way.
"""

import asyncio
import json
import os
import random
import signal
import sqlite3
import sys
import threading
from pathlib import Path
from typing import Any

import disks

from clew.core.states import ENDED
from clew.runtime import arms, host
from clew.runtime.host import Host
from clew.runtime.record import History
from clew.service import runs as run_service
from clew.service.engine import AsyncEngine, open_project
from clew.service.replay import trace_digest

PROJECT = Path(__file__).parent / "project"
RUN = "r00000000c4a05"
INPUT = {"items": [1, 2, 3, 4], "isolated": False}


class Writes(sqlite3.Connection):
    """A connection that counts what it makes durable; at one of these writes something happens.

    ``before`` and ``after``: the process is killed then. ``stop``: it is told to end after the write. Another phase is the name of
    an SQLite error that the write, and with ``on`` every later one, meets.
    """

    count = 0
    at = 0
    phase = ""
    on = False

    def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:
        writes = sql.startswith("COMMIT") or (
            not self.in_transaction and sql.startswith(("UPDATE", "INSERT", "DELETE"))
        )
        if not writes:
            return super().execute(sql, *args)
        Writes.count += 1
        now = Writes.count == Writes.at
        if now and Writes.phase == "before":
            die()
        if Writes.phase.startswith("SQLITE") and (now or (Writes.on and Writes.count > Writes.at)):
            error = sqlite3.OperationalError(f"injected {Writes.phase}")
            error.sqlite_errorname = Writes.phase  # type: ignore[misc]
            raise error
        cursor = super().execute(sql, *args)
        if now and Writes.phase == "after":
            die()
        if now and Writes.phase == "stop":
            os.kill(os.getpid(), signal.SIGTERM)
        return cursor


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def watch_writes(job: dict[str, Any]) -> None:
    """From here on journals are opened with a counting connection."""
    Writes.count, Writes.at, Writes.phase, Writes.on = (
        0,
        job.get("write", 0),
        job.get("phase", ""),
        job.get("on", False),
    )
    connect = sqlite3.connect

    def counting(*args: Any, **options: Any) -> sqlite3.Connection:
        return connect(*args, factory=Writes, **options)

    sqlite3.connect = counting  # type: ignore[assignment]


class Steps:
    """Counts calls of Python functions in all threads: a moment of a run that a seed can name."""

    def __init__(self, at: int = 0) -> None:
        self.count, self.at = 0, at

    def install(self) -> None:
        threading.setprofile(self._step)
        sys.setprofile(self._step)

    def _step(self, *_: object) -> None:
        self.count += 1
        if self.count == self.at:
            die()


def drive(job: dict[str, Any]) -> dict[str, Any]:
    """Start or resume the run, answer what it asks, and say how it stands. ``job``: see ``Job`` in ``trials.py``."""
    os.chdir(job["directory"])
    Path("incarnation").write_text(str(job["incarnation"]))
    run_service.new_id = lambda _: job.get("run", RUN)
    if job.get("file_size"):
        disks.limit_files(job["file_size"])
    if job.get("sabotage"):
        SABOTAGE[job["sabotage"]]()
    steps = Steps(job.get("step", 0))
    if job.get("write") or job.get("count"):
        watch_writes(job)
    if job.get("step") or job.get("count_steps"):
        steps.install()
    for module in (arms, host):
        module.GRACE_MS = job.get("grace_ms", module.GRACE_MS)
    try:
        result = asyncio.new_event_loop().run_until_complete(go(job))
    except asyncio.CancelledError:
        return {"stopped": True}
    sys.setprofile(None)
    threading.setprofile(None)
    return {"state": result.state, "status": result.status, "output": result.output, "error": result.error,
            "writes": Writes.count, "steps": steps.count}  # fmt: skip


def forget_outcomes() -> None:
    """An engine that performs again what is recorded as done."""
    History.finished = lambda *_: None  # type: ignore[method-assign]


def leave_no_intents() -> None:
    """An engine that does not say what it is about to do."""

    async def record(self: Host, event: Any) -> None:
        if type(event.fact).__name__ != "EffectStarted" or event.fact.wait:
            await recorded(self, event)

    recorded, Host.record = Host.record, record  # type: ignore[method-assign]


SABOTAGE = {"forget_outcomes": forget_outcomes, "leave_no_intents": leave_no_intents}


def opened(job: dict[str, Any]) -> AsyncEngine:
    engine = open_project(job.get("project", str(PROJECT)), state="state")
    engine.workspace.owner = f"incarnation{job['incarnation']}"
    return engine


async def go(job: dict[str, Any]) -> Any:
    run = job.get("run", RUN)
    me = asyncio.current_task()
    assert me is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, me.cancel)
    async with opened(job) as engine:
        rows = [row for row in await engine.runs() if row.run == run]
        if not rows:
            result = await engine.run(job.get("input", INPUT), start=job.get("start"))
        elif rows[0].state in ENDED:
            result = await engine.result(run)
        else:
            (result,) = await engine.resume(run)
        while result.state not in ENDED:
            assert result.waiting, f"the run is {result.state} and asks nothing"
            for asked in result.waiting:
                result = await answer(engine, run, asked, job.get("verdict"))
        return result


async def answer(engine: AsyncEngine, run: str, asked: Any, verdict: str | None) -> Any:
    """As a human would: look at the world before agreeing to something that is in doubt."""
    request = asked.request
    if verdict is not None:
        decide = engine.approve if verdict == "approve" else engine.reject
        return await decide(run, key=asked.key, by="tester")
    if request.get("reason") == "in_doubt":
        name = request["args"]["name"]
        if done(name):
            return await engine.reject(run, key=asked.key, by="tester", why="it was done")
        return await engine.approve(run, key=asked.key, by="tester")
    value = 7 if asked.name == "ask" else {**request["args"], "seats": 3}
    return await engine.approve(run, value, key=asked.key, by="tester")


def done(name: str) -> bool:
    log = Path("effects.log")
    return log.exists() and any(json.loads(line)["name"] == name for line in log.read_text().splitlines())


def examine(job: dict[str, Any]) -> dict[str, Any]:
    """Read everything back: results, trace digests, what verification and replay say, and the effects on record."""
    os.chdir(job["directory"])
    return asyncio.run(read_back(job))


async def read_back(job: dict[str, Any]) -> dict[str, Any]:
    async with opened(job) as engine:
        told: dict[str, Any] = {"findings": [str(f) for f in await engine.verify()], "runs": {}}
        for row in await engine.runs():
            result = await engine.result(row.run)
            report = await engine.replay(row.run, handlers=job.get("handlers", True))
            told["runs"][row.run] = {
                "state": result.state, "status": result.status, "output": result.output, "error": result.error,
                "trace": trace_digest(result.history), "verdict": report.verdict, "divergence": str(report.divergence),
                "events": [event_of(record) for record in result.history], "owner": row.owner,
            }  # fmt: skip
        return told


def event_of(record: Any) -> dict[str, Any]:
    fact = record.event.fact
    told = {"seq": record.seq, "type": type(fact).__name__}
    for name in (
        "key",
        "kind",
        "name",
        "status",
        "owner",
        "task",
        "node",
        "wait",
        "code",
        "reason",
        "attempt",
        "entry",
    ):
        if hasattr(fact, name):
            told[name] = getattr(fact, name)
    if told["type"] in ("EffectStarted", "EffectFinished") and told["kind"] in ("effect", "tool", "handler"):
        told["payload"] = record.event.payload
    if told["type"] == "NodeFailed":
        told["payload"] = record.event.payload
    return told


def on_small_disk(job: dict[str, Any]) -> dict[str, Any]:
    """Drive the run on a disk of ``size`` bytes until that is full, then with room again, then look back; each in a process."""
    state = Path(job["directory"]) / "state"
    state.mkdir()
    try:
        disks.small_disk(state, job["size"])
    except OSError as error:
        return {"impossible": str(error)}
    first = disks.in_child(lambda: work({**job, "do": "drive", "incarnation": 1}))
    disks.resize(state, 64 << 20)
    second = disks.in_child(lambda: work({**job, "do": "drive", "incarnation": 2}))
    seen = disks.in_child(lambda: work({**job, "do": "examine", "incarnation": 3}))
    return {"first": first, "second": second, "seen": seen}


JOBS = {"drive": drive, "examine": examine, "on_small_disk": on_small_disk}


def work(job: dict[str, Any]) -> dict[str, Any]:
    """Do one job; an exception is part of the answer."""
    random.seed(0)
    try:
        return JOBS[job["do"]](job)
    except BaseException as error:
        import traceback

        return {"raised": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()}


if __name__ == "__main__":
    answer_to = json.loads(sys.argv[1])
    print(json.dumps(work(answer_to)), flush=True)
