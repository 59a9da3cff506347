"""The tool port: what an agent or a handler may call. Drivers live in ``clew.tools``."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Literal, Protocol

import msgspec

from clew.gate.ports.sandbox import SandboxBackend
from clew.gate.ports.secrets import Secrets

Risk = Literal["low", "medium", "high"]


class Permissions(msgspec.Struct, frozen=True, kw_only=True):
    """``root``: the only directory that the tool may touch, relative to the project (None: no files at all)."""

    root: str | None = None
    network: bool = False
    shell: bool = False


class ToolSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What a model and a policy are told about a tool. ``inputs`` and ``outputs`` are JSON Schemas.

    ``repeat_safe``: calling it twice with the same arguments does no harm. ``mutates``: it changes something that
    outlives the call.
    """

    id: str
    description: str
    inputs: dict[str, Any]
    outputs: dict[str, Any] | None = None
    permissions: Permissions = Permissions()
    risk: Risk = "medium"
    repeat_safe: bool = False
    mutates: bool = True


class Progress(Protocol):
    """Told how far a long call is: a fraction (0 to 1) or None when unknown, and a line for a human."""

    def __call__(self, fraction: float | None, message: str) -> None: ...


def no_progress(fraction: float | None, message: str) -> None:
    """A ``Progress`` that tells nobody."""


Search = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]
"""A request of the ``search`` effect of kind ``context`` -> its output."""


class ToolContext(msgspec.Struct, frozen=True, kw_only=True):
    """Where a call stands. ``root`` is absolute; ``sandbox`` is None where nothing may be executed.

    ``secrets``: the project's credentials by id; None where there are none to be had. What they give goes to the service
    that it is for, never into a result or a message.
    ``idempotency_key`` is the same for the same call, also after a crash: hand it on to what takes one.
    """

    project_dir: Path
    root: Path
    sandbox: SandboxBackend | None = None
    secrets: Secrets | None = None
    progress: Progress = no_progress
    idempotency_key: str = ""
    search: Search | None = None
    """Looks into the run's memory; None where there is none to be had."""


class Tool(Protocol):
    """One tool. ``call`` gets arguments that fit ``spec.inputs`` and returns JSON.

    Raises Failure with a stable code and a message that an agent can correct itself by; cancelling ends what it does.
    """

    @property
    def spec(self) -> ToolSpec: ...

    async def call(self, args: dict[str, Any], context: ToolContext) -> Any: ...


ToolFactory = Callable[[], Tool]
