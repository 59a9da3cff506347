"""A task with a time limit, done in a process of its own: whatever its handlers are stuck in, the answer comes in time.

The worker says on one line which run it has begun, and on the next how it ended. Time counts from the first; the run's deadline is
its own business. A worker that has not answered shortly after is killed, and the run, whose deadline has passed, is ended here.
"""

import asyncio
import contextlib
import ctypes
import os
import signal
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from clew.core import envelopes
from clew.core.envelopes import AgentError, AgentResult, AgentTask
from clew.core.errors import ClewError, Failure
from clew.core.states import ENDED
from clew.service import runs, tasks
from clew.service.wiring import Workspace

GRACE_MS = 1_000
"""How long after the time limit a worker may take to end its run in order."""
_LAST_MS = 15_000
"""How long a worker that is told to end may take to put its run down."""
_LINE = 256 * 1024 * 1024
_PR_SET_PDEATHSIG = 1


async def supervised(
    workspace: Workspace, task: AgentTask, command: Sequence[str], on_begun: Callable[[str], None]
) -> AgentResult | AgentError:
    """The answer of ``command``, a worker that takes the task on stdin, or the one that is due when its time is over.

    ``on_begun`` hears the run's id. Raises what the worker said of work that never became a task. Cancelled, it has the worker
    put its run down.
    """
    worker = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=_LINE, start_new_session=True
    )
    try:
        run = await _begun(worker, task)
        on_begun(run)
        return await _answer(workspace, worker, task, run)
    except asyncio.CancelledError:
        if worker.returncode is None:
            os.kill(worker.pid, signal.SIGTERM)
            await tasks.within(workspace.clock, _LAST_MS, worker.wait())
        raise
    finally:
        await _kill(worker)


async def _begun(worker: asyncio.subprocess.Process, task: AgentTask) -> str:
    """The run that the worker has begun. Raises what it says where there is none."""
    if worker.stdin is not None:
        worker.stdin.write(envelopes.write(task))
        worker.stdin.close()
    said = _read(await _line(worker))
    if "run" in said:
        return str(said["run"])
    error: dict[str, Any] = said.get("error") or {}
    raise Failure(
        str(error.get("message") or "the worker process ended before it began"), code=str(error.get("code") or "crashed")
    )  # fmt: skip


async def _answer(
    workspace: Workspace, worker: asyncio.subprocess.Process, task: AgentTask, run: str
) -> AgentResult | AgentError:
    limit = (task.constraints.timeout_ms or 0) + GRACE_MS
    line = await tasks.within(workspace.clock, limit, _line(worker))
    if line:
        found = envelopes.understand(_read(line))
        if isinstance(found, AgentResult | AgentError):
            return found
    await _kill(worker)
    row = await workspace.journal.row(run)
    if row.state not in ENDED and await runs.overdue(workspace, run):
        try:
            host = await runs.resume(workspace, run, accept=True)
            await host.settled()
        except ClewError as error:
            return tasks.failed(task, run, error)
    elif row.state not in ENDED and line is not None:
        hint = f"clew resume {run} goes on with it"
        return tasks.failed(task, run, Failure("the worker process died", code="crashed", hint=hint))
    return await tasks.answer(workspace, run, task)


async def _line(worker: asyncio.subprocess.Process) -> bytes:
    return await worker.stdout.readline() if worker.stdout else b""


async def _kill(worker: asyncio.subprocess.Process) -> None:
    """End the worker and what it left in its session; not by its own ``kill``, which may take its end from asyncio."""
    if worker.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(worker.pid, signal.SIGKILL)
    await worker.wait()


def _read(line: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(line, type=dict[str, Any])
    except msgspec.DecodeError:
        return {}


def die_with(parent: int) -> None:
    """Have this process killed when its parent ends, however that comes (Linux: ``PR_SET_PDEATHSIG``)."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before it could be said
        os.kill(os.getpid(), signal.SIGKILL)
