"""A process as ``zygote.py``, warm from one conversation in every protocol, whose children drive further ones.

A job may also have ``listens``: what models say is noted in the file ``heard``. And the process may die at ``chunk``: when it hears
the text of this number; ``answer``: when the outcome of this model call is to be recorded, or ``after`` it is; ``pause``: in a wait
between two tries.
"""

import asyncio
import gc
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import driving
import zygote
from conversations import PROTOCOLS, SCENARIOS, House

from clew.core.events import EffectFinished, Event
from clew.models import chain
from clew.runtime.host import Host
from clew.service.engine import AsyncEngine, open_project

_opened, _event_of = driving.opened, driving.event_of
_listening: list[asyncio.Task[None]] = []


def opened(job: dict[str, Any]) -> AsyncEngine:
    Path("pid").write_text(str(os.getpid()))
    if "answer" in job:
        watch_outcomes(job)
    if "pause" in job:
        chain.Chain._pause = lambda *_: driving.die()  # type: ignore[method-assign]
    engine = _opened(job)
    if job["do"] == "drive" and job["listens"]:
        _listening.append(asyncio.ensure_future(listen(engine, job)))
    return engine


def watch_outcomes(job: dict[str, Any]) -> None:
    async def record(self: Host, event: Event) -> None:
        nonlocal left
        counts = isinstance(event.fact, EffectFinished) and event.fact.kind == "model"
        left -= counts
        if counts and left == 0 and not job.get("after"):
            driving.die()
        await recorded(self, event)
        if counts and left == 0:
            driving.die()

    left, recorded, Host.record = job["answer"], Host.record, record  # type: ignore[method-assign]


async def listen(engine: AsyncEngine, job: dict[str, Any]) -> None:
    heard = 0
    with engine.workspace.streams.listen(driving.RUN) as listener, Path("heard").open("a") as file:
        async for chunk in listener:
            file.write(json.dumps([job["incarnation"], chunk.key, chunk.kind, chunk.text]) + "\n")
            file.flush()
            heard += chunk.kind == "text"
            if heard == job.get("chunk"):
                driving.die()


def event_of(record: Any) -> dict[str, Any]:
    """With what was asked of a model, what it cost, and who answered."""
    fact, told = record.event.fact, _event_of(record)
    if told.get("kind") == "model":
        told["bill"] = [fact.digest, fact.cost, fact.usage, fact.by] if told["type"] == "EffectFinished" else []
    return told


async def warm_up() -> None:
    """Load and build what takes a process's first conversation seconds. Nothing is left running: children are forked."""
    house = House()
    async with house.fake:
        for protocol in PROTOCOLS:
            with tempfile.TemporaryDirectory() as directory:
                os.chdir(directory)
                house.move_in(Path(directory), protocol, SCENARIOS["tools"])
                async with open_project("project", ":memory:") as engine:
                    assert (await engine.run()).state == "completed"
                os.chdir("/")


if __name__ == "__main__":
    chain.BACKOFF_MS = 4
    asyncio.run(warm_up())
    driving.opened, driving.event_of = opened, event_of
    gc.freeze()
    zygote.serve()
