"""A process of a trial with code agents: drives a project until it is through, or dies around the recording of an effect.

``python debugging.py JOB``: ``{project, input, directory, phase, at, answers}``; prints how the run stands.
"""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import msgspec

from clew.core.states import ENDED
from clew.gate.ports.model import ModelRequest
from clew.runtime.host import Host
from clew.service.engine import open_project
from clew.testing import ScriptedModel


def dying(phase: str, at: int) -> None:
    """From here on the process is killed ``before`` or ``after`` it records its ``at``-th effect."""
    recorded, count = Host.record, 0

    async def record(self: Host, event: Any) -> None:
        nonlocal count
        fact = event.fact
        if type(fact).__name__ != "EffectFinished" or fact.kind not in ("effect", "model", "tool"):
            await recorded(self, event)
            return
        count += 1
        number = count  # others may be recorded meanwhile
        if number == at and phase == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        await recorded(self, event)
        with Path("effects").open("a") as log:
            log.write(f"{self.run} {fact.key} {fact.name}\n")
        if number == at and phase == "after":
            os.kill(os.getpid(), signal.SIGKILL)

    Host.record = record  # type: ignore[method-assign]


def says(answers: list[dict[str, Any]]) -> ScriptedModel:
    """A model that answers by what it is told, whichever process asks: the first answer whose words are all there. One that
    ``looks`` at something first does so in a conversation where nothing was looked at."""

    def answer(request: ModelRequest) -> Any:
        told = msgspec.json.encode(request.messages).decode()
        looked = any(message.role == "tool" for message in request.messages)
        chosen = next(one for one in answers if all(word in told for word in one["when"]))
        looks = not looked and "looks" in chosen
        with Path("asked").open("a") as log:
            log.write(f"{answers.index(chosen)}{' looks' if looks else ''}\n")
        return (
            [ScriptedModel.call(tool, **arguments) for tool, arguments in chosen["looks"]] if looks else chosen["says"]
        )

    return ScriptedModel(*[answer] * 100)


async def go(job: dict[str, Any]) -> dict[str, Any]:
    async with open_project(job["project"], state="state", models=says(job["answers"])) as engine:
        rows = [row for row in await engine.runs() if not row.parent]
        if not rows:
            result = await engine.run(job["input"])
        elif rows[0].state in ENDED:
            result = await engine.result(rows[0].run)
        else:
            (result,) = await engine.resume(rows[0].run)
        if not job.get("at"):
            assert (await engine.replay(result.run_id, handlers=True)).verdict == "identical"
            assert not await engine.verify()
        return {"state": result.state, "status": result.status, "output": result.output, "error": result.error}


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    os.chdir(given["directory"])
    if given.get("at"):
        dying(given["phase"], given["at"])
    print(json.dumps(asyncio.run(go(given))))
