"""Where a code agent works: its effects, its model, its prompts."""

from collections.abc import Callable, Coroutine, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec

from clew.core.errors import Failure
from clew.gate.ports.sandbox import SandboxBackend

PROMPTS = Path(__file__).parent / "prompts"
MODEL = "model"
OFFLINE = "offline"
MOST_SHOWN = 40_000
"""Characters of one section that a model is shown."""

T = TypeVar("T", bound=msgspec.Struct)
Json = dict[str, Any]
Job = Callable[..., Any]
"""``job(backend, *args)``, async or not: touches the world; arguments and result are JSON; may be done twice."""


class Payload(msgspec.Struct, frozen=True, kw_only=True):
    """What every code agent may be told.

    ``repo``: top folder of the repository; ``changes``: texts that stand for its files by path, or are new, without being
    written; ``model``: a model of the project, empty to work offline; ``python``: the interpreter, by default the repository's.
    """

    repo: str = "."
    python: str | None = None
    model: str = ""
    changes: dict[str, str] = {}


class Body(Protocol):
    """What a seat needs of ``ctx``."""

    def effect(
        self, name: str, fn: Callable[..., Any], *args: Any, repeat_safe: bool = False
    ) -> Coroutine[Any, Any, Any]: ...

    def model(self, model: str, messages: list[Json], *, schema: Json | None = None) -> Coroutine[Any, Any, Any]: ...


class Lint(Protocol):
    """What looks for mistakes in the Python files at ``target`` below ``root``; with ``fix`` it may change them.

    Returns what the tool ``static_analysis`` does.
    """

    async def __call__(self, backend: SandboxBackend, root: Path, target: str, *, fix: bool) -> Json: ...


class Seat:
    """One body's. Each ``do`` and each ``ask`` is one recorded effect, so that a killed run goes on after the last of them."""

    def __init__(self, body: Body, backend: SandboxBackend, lint: Lint) -> None:
        self._body, self._backend, self.lint = body, backend, lint

    async def do(self, name: str, job: Job, *args: Any) -> Any:
        """The result of a job, or its recorded one."""
        return await self._body.effect(name, partial(job, self._backend), *args, repeat_safe=True)

    async def ask(self, model: str, messages: list[Json], schema: Json) -> Any:
        """What the model answers, fitting ``schema``. Raises Failure as ``ctx.model`` does."""
        return await self._body.model(model, messages, schema=schema)


def understood(kind: type[T], payload: Any) -> T:
    """Raises Failure(invalid_payload)."""
    try:
        return msgspec.convert(payload, kind)
    except msgspec.ValidationError as error:
        raise Failure(f"payload: {error}", code="invalid_payload") from None


def opening(prompt: str, sections: Mapping[str, Any]) -> list[Json]:
    """The prompt of that name, and what the work is about, section by section; empty ones are left out."""
    told = [f"## {title}\n{_shown(value)}" for title, value in sections.items() if value]
    return [{"role": "system", "content": prompt_of(prompt)}, {"role": "user", "content": "\n\n".join(told)}]


def correction(answer: Any, wrong: str) -> list[Json]:
    """The answer as the model gave it, and why it cannot be used."""
    content = msgspec.json.encode(answer).decode()
    asked = f"This cannot be used: {wrong}\nAnswer again, in full, with this put right."
    return [{"role": "assistant", "content": content}, {"role": "user", "content": asked}]


@cache
def prompt_of(name: str) -> str:
    return (PROMPTS / f"{name}.md").read_text("utf-8").strip()


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}\n[cut: {len(text) - MOST_SHOWN} characters more]"
