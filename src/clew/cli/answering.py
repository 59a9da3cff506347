"""What ``approve`` and ``reject`` share: find the question, decide it, and go on with the run in the foreground."""

from collections.abc import Callable
from typing import Any

import msgspec

from clew.cli import shapes
from clew.cli.foreground import Foreground, answer, drive_with
from clew.cli.session import Session
from clew.core.errors import Conflict, NotFound, UsageError
from clew.runtime.host import Host
from clew.service.decide import Decision
from clew.service.decide import decide as decide_service
from clew.service.engine import AsyncEngine, open_state
from clew.service.runs import Waiting
from clew.service.wiring import Workspace

_SHORTEST = 8
"""Hex digits of a digest that are enough."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A decision as it was typed. ``content``: the answer's value for the question found, UNSET for none."""

    approve: bool
    run: str | None
    key: str | None
    why: str
    by: str
    digest: str
    content: Callable[[Workspace, Waiting], Any]


class _Told(Exception):
    """Another process drives the run and was told."""


def decide(session: Session, given: Answer, watch: bool | None) -> int:
    """Returns the exit code of the run as it then stands; 0 where another process goes on with it."""
    engine = open_state(session.state)

    async def work(foreground: Foreground) -> shapes.Outcome:
        workspace = engine.workspace
        run = await _run(engine, given)
        asked = await _asked(engine, run, given)
        decision = Decision(
            approve=given.approve,
            by=given.by or workspace.settings.user,
            why=given.why,
            value=given.content(workspace, asked),
            digest=_digest(given.digest, asked),
        )
        row = await workspace.journal.row(asked.run)
        plan = await workspace.recorded_plan(row.plan)

        async def begin() -> Host:
            host = await decide_service(workspace, run, decision, asked.key)
            if host is None:
                raise _Told
            return host

        try:
            return await foreground.drive(begin, plan.graph, known=asked.run, subject=run.partition(".")[0])
        except _Told:
            session.say(f"another process drives run {run}; it was told")
            found = await foreground.outcome(run)
            left = [w for w in found.waiting if (w.run, w.key) != (asked.run, asked.key)]
            return msgspec.structs.replace(found, waiting=left)

    return answer(session, drive_with(session, engine, work, watch=watch))


async def _run(engine: AsyncEngine, given: Answer) -> str:
    """The run named, else the only one that asks anything."""
    if given.run:
        return await engine.find(given.run)
    runs = sorted({w.run for w in await engine.waiting()})
    if not runs:
        raise NotFound("no run asks anything now")
    if len(runs) > 1:
        raise UsageError(f"several runs ask something; name one: {', '.join(runs)}")
    return runs[0]


async def _asked(engine: AsyncEngine, run: str, given: Answer) -> Waiting:
    open_ones = [w for w in await engine.waiting(run) if given.key in (None, w.key)]
    if len(open_ones) == 1:
        return open_ones[0]
    if open_ones:
        keys = "\n  ".join(w.key for w in open_ones)
        raise UsageError(f"run {run} asks several things; name one with --key:\n  {keys}")
    row = await engine.workspace.journal.row(run)
    under = f" under {given.key}" if given.key else ""
    raise NotFound(f"run {run} asks nothing{under} now; it is {row.state}", hint="clew show lists what it asks")


def _digest(shown: str, asked: Waiting) -> str:
    """A beginning of the digest stands for the whole one."""
    if not shown:
        return ""
    if len(shown) < _SHORTEST:
        raise UsageError(f"--digest needs at least {_SHORTEST} hex digits")
    if not asked.digest.startswith(shown.lower()):
        raise Conflict(f"the request {asked.key} is not the one that was shown", hint="look at it again: clew show")
    return asked.digest
