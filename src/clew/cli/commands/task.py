"""``clew task``."""

import os
import secrets
import sys
from collections.abc import Generator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any, TextIO

import click
import msgspec

from clew.cli.command import command as declare
from clew.cli.command import group
from clew.cli.failures import FAILED, INTERRUPTED, SUCCESS, WAITING, WRONG_USE, Interrupted
from clew.cli.foreground import Foreground, drive_with
from clew.cli.inputs import build
from clew.cli.session import Session, pass_session
from clew.core import envelopes
from clew.core.envelopes import AgentError, AgentResult, AgentTask, TaskError
from clew.core.errors import ClewError, ManifestError
from clew.service import settings, supervise, tasks
from clew.service.agents import plan_for, project_for
from clew.service.engine import AsyncEngine


class Refusal(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What never became a task: no JSON, no envelope, no such agent, no project, a key that was used for other work."""

    ok: bool
    trace_id: str
    """Names this refusal; it is new every time."""
    error: TaskError


@group(
    "task",
    subcommands="run …",
    examples=[("clew task run --file task.json", "do the work of an AgentTask")],
    shape="one document of `clew task run`",
)
@click.pass_context
def command(ctx: click.Context) -> int:
    """Do work that comes in an envelope, and answer in one."""
    if ctx.invoked_subcommand is None:
        raise click.UsageError("a command is missing: clew task run", ctx)
    return SUCCESS


@declare(
    "run",
    examples=[
        ("clew task run --file task.json", "the answer is one line of JSON on stdout"),
        ("clew task run --file - --project shop < task.json", "the task on stdin"),
        (
            """echo '{"agent": "TestExec", "payload": {"repo": "."}}' | clew task run --file -""",
            "the tests here, in the sandbox",
        ),
    ],
    shape=AgentResult | AgentError | Refusal,
    lines=True,
)
@click.option("--file", metavar="FILE", required=True, help="The AgentTask as a JSON file; - is stdin.")
@click.option("--project", default=".", type=click.Path(path_type=Path), help="The project that knows the agent.")
@click.option("--worker", type=int, hidden=True, help="Do it in this process, which ends with that one.")
@pass_session
def run(session: Session, file: str, project: Path, worker: int | None) -> int:
    """Do the work of an AgentTask.

    The answer is one line of JSON: an AgentResult, an AgentError, or {ok: false, traceId, error} for what never became a task.
    Its agent is the project's workflow or one of its declared agents, by its id, or a code agent, which needs no project: CodeGen,
    TestGen, TestExec, StaticAnalysis, Debug, DesignReview, Refactor, Planning. Its payload is the input. A task with the
    idempotency key of an earlier one gives that one's answer.
    """
    if worker is not None:
        supervise.die_with(worker)
    try:
        task = envelopes.task_of(build(None, file, ()))
        plan, directory = project_for(project)
        plan_for(plan, task.agent)
        engine = AsyncEngine(plan, directory, settings.read(state=session.state))
    except ClewError as error:
        return _refuse(session, error)
    try:
        found = (
            _supervised(session, engine, task, project)
            if _limited(task, worker)
            else _done(session, engine, task, worker)
        )
    except Interrupted as stop:
        details = {"runs": list(stop.runs), "hint": stop.hint}
        error = TaskError(code="interrupted", message=stop.message, details=details)
        found = AgentError(id=(*stop.runs, task.id)[0], parent_id=task.id, agent=task.agent, error=error)
    except ClewError as error:
        return _refuse(session, error)
    session.write(envelopes.write(found).decode() + "\n")
    return _code(found)


command.add_command(run)


def _limited(task: AgentTask, worker: int | None) -> bool:
    return worker is None and task.constraints.timeout_ms is not None


def _done(session: Session, engine: AsyncEngine, task: AgentTask, worker: int | None) -> AgentResult | AgentError:
    """Do the work in this process."""

    async def work(foreground: Foreground) -> AgentResult | AgentError:
        def begin(run: str) -> None:
            foreground.begun.append(run)
            if worker is not None:
                answers.write(msgspec.json.encode({"run": run}).decode() + "\n")
                answers.flush()

        try:
            return await tasks.perform(engine.workspace, engine.plan, engine.directory, task, begin)
        except ClewError as error:
            if not foreground.begun:
                raise
            return tasks.failed(task, foreground.begun[0], error)

    with _alone() as answers:
        return drive_with(session, engine, work)


@contextmanager
def _alone() -> Generator[TextIO]:
    """The real stdout, for answers; what handlers and their processes print meanwhile goes to stderr."""
    out = sys.stdout
    with redirect_stdout(sys.stderr):
        try:
            descriptor = out.fileno()
        except (OSError, ValueError):
            yield out
            return
        kept = os.dup(descriptor)
        os.dup2(sys.stderr.fileno(), descriptor)
        try:
            with os.fdopen(os.dup(kept), "w", encoding="utf-8") as answers:
                yield answers
        finally:
            os.dup2(kept, descriptor)
            os.close(kept)


def _supervised(session: Session, engine: AsyncEngine, task: AgentTask, project: Path) -> AgentResult | AgentError:
    """Have the work done in a process that can be killed."""
    shared = [*(("--state", session.state) if session.state else ()), *(("-q",) if session.quiet else ())]
    command = [
        sys.executable, "-m", "clew.cli", *shared, "task", "run", "--file", "-", "--project", str(project),
        "--worker", str(os.getpid()),
    ]  # fmt: skip

    async def work(foreground: Foreground) -> AgentResult | AgentError:
        return await supervise.supervised(engine.workspace, task, command, foreground.begun.append)

    return drive_with(session, engine, work)


def _refuse(session: Session, error: ClewError) -> int:
    details: Any = {"problems": [str(p) for p in error.problems]} if isinstance(error, ManifestError) else None
    message = "the project has problems" if isinstance(error, ManifestError) else str(error)
    said = Refusal(
        ok=False, trace_id=secrets.token_hex(16), error=TaskError(code=error.code, message=message, details=details)
    )  # fmt: skip
    session.write(msgspec.json.encode(said).decode() + "\n")
    return WRONG_USE


def _code(found: AgentResult | AgentError) -> int:
    if isinstance(found, AgentResult):
        return SUCCESS
    return {"waiting": WAITING, "interrupted": INTERRUPTED}.get(found.error.code, FAILED)
