"""Where a code agent works: its effects, its model and what that may look at, its prompts."""

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec

from clew.agents import prompt
from clew.agents.loop import Job as AgentJob
from clew.core.errors import Failure
from clew.gate.ports.sandbox import SandboxBackend
from clew.gate.ports.tool import ToolSpec
from clew.manifest.compiled import AgentPlan, Limits

PROMPTS = Path(__file__).parent / "prompts"
MODEL = "model"
OFFLINE = "offline"
MOST_SHOWN = 40_000
"""Characters of one section that a model is shown."""
STEPS = 12
"""Turns of a model until it answers; the last one without tools."""
CORRECTIONS = 2
"""How often an answer that cannot be used goes back to the model."""

T = TypeVar("T")
S = TypeVar("S", bound=msgspec.Struct)
Json = dict[str, Any]
Job = Callable[..., Any]
"""``job(backend, *args)``, async or not: touches the world; arguments and result are JSON; may be done twice."""
Take = Callable[[Json, int], Awaitable[T]]
"""``take(answer, left)``: what is made of an answer; ``left``: how often another one may still be asked for."""


class Payload(msgspec.Struct, frozen=True, kw_only=True):
    """What every code agent may be told.

    ``repo``: top folder of the repository; ``changes``: texts that stand for its files by path, or are new, without being
    written; ``model``: a model of the project, empty to work offline; ``python``: the interpreter, by default the repository's.
    """

    repo: str = "."
    python: str | None = None
    model: str = ""
    changes: dict[str, str] = {}


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What a model is asked. ``prompt``: the file; ``about``: titles and texts, empty ones are left out; ``schema``: of the answer;
    ``mendable``: codes of failures that go back to it."""

    agent: str
    prompt: str
    about: Mapping[str, Any]
    schema: Json
    mendable: tuple[str, ...] = ()


class Body(Protocol):
    """What a seat needs of ``ctx``."""

    def effect(
        self, name: str, fn: Callable[..., Any], *args: Any, repeat_safe: bool = False
    ) -> Coroutine[Any, Any, Any]: ...

    def converse(
        self, job: AgentJob, look: Callable[[str, Json], Awaitable[Any]]
    ) -> Coroutine[Any, Any, tuple[Any, list[Json]]]: ...


class Lint(Protocol):
    """What looks for mistakes in the Python files at ``target`` below ``root``; with ``fix`` it may change them.

    Returns what the tool ``static_analysis`` does.
    """

    async def __call__(self, backend: SandboxBackend, root: Path, target: str, *, fix: bool) -> Json: ...


class Look(Protocol):
    """What a tool that only looks gives in the payload's repository, with its changes. Raises Failure."""

    async def __call__(self, payload: Json, tool: str, arguments: Json) -> Any: ...


class Bench(msgspec.Struct, frozen=True):
    """Tools beside the sandbox. ``looking``: those that a model may call, by ``look``."""

    lint: Lint
    look: Look
    looking: Mapping[str, ToolSpec]


class Seat:
    """One body's. Each ``do``, each turn of a model and each call of its tools is one recorded effect, so that a killed run goes on
    after the last of them."""

    def __init__(self, body: Body, backend: SandboxBackend, bench: Bench) -> None:
        self._body, self._backend, self._bench = body, backend, bench
        self.lint = bench.lint

    async def do(self, name: str, job: Job, *args: Any) -> Any:
        """The result of a job, or its recorded one."""
        return await self._body.effect(name, partial(job, self._backend), *args, repeat_safe=True)

    async def ask(self, wanted: Payload, question: Question, take: Take[T]) -> T:
        """What ``take`` makes of the answer of a model, which may look at the repository before it answers.

        An answer that ``take`` refuses with a code of ``question.mendable`` goes back to it, with the reason. Raises Failure: as
        ``take``, and as an agent's loop does.
        """
        job = self._job(wanted, question)
        look = partial(self._bench.look, msgspec.to_builtins(wanted))
        for left in reversed(range(CORRECTIONS + 1)):
            answer, said = await self._body.converse(job, look)
            try:
                return await take(answer, left)
            except Failure as wrong:
                if not left or wrong.code not in question.mendable:
                    raise
                asked = f"This cannot be used: {wrong.message}\nAnswer again, in full, with this put right."
                job = msgspec.structs.replace(job, earlier=(*said, prompt.said("user", asked)))
        raise AssertionError("unreachable")

    def _job(self, wanted: Payload, question: Question) -> AgentJob:
        looking = self._bench.looking
        agent = AgentPlan(
            model=wanted.model,
            instructions=prompt_of(question.prompt),
            tools=tuple(looking),
            limits=Limits(steps=STEPS),
        )
        told = [f"## {title}\n{_shown(value)}" for title, value in question.about.items() if value]
        return AgentJob(
            name=question.agent,
            agent=agent,
            input="\n\n".join(told),
            instructions=prompt_of("looking"),
            schema=question.schema,
            tools=looking,
        )


def understood(kind: type[S], payload: Any) -> S:
    """Raises Failure(invalid_payload)."""
    try:
        return msgspec.convert(payload, kind)
    except msgspec.ValidationError as error:
        raise Failure(f"payload: {error}", code="invalid_payload") from None


def task_for(agent: str, wanted: Payload, **more: Any) -> Json:
    """A new task for another agent, on the same repository and with the same model."""
    about = {name: value for name in Payload.__struct_fields__ if (value := getattr(wanted, name))}
    return {"agent": agent, "payload": {**about, **more}}


@cache
def prompt_of(name: str) -> str:
    return (PROMPTS / f"{name}.md").read_text("utf-8").strip()


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}\n[cut: {len(text) - MOST_SHOWN} characters more]"
