"""Commands: what the machine wants done. A closed union; the runtime is one loop over it."""

from typing import Any, Literal

import msgspec

from clew.core.events import Status


class RunNode(msgspec.Struct, frozen=True):
    """Enter the body of ``node`` for ``task``; record ``NodeStarted`` with the same numbers first."""

    task: str
    node: str
    attempt: int
    entry: int
    input: Any


class _Wait(msgspec.Struct, frozen=True):
    """A wait that is open. ``number`` counts waits as they opened: the cursor of ``decide``."""

    key: str
    task: str
    node: str
    name: str
    number: int
    due: int | None
    request: Any


class Sleep(_Wait, frozen=True):
    """Answer the wait when ``due`` (ms since the epoch) has come."""


class AwaitDecision(_Wait, frozen=True):
    """A human is asked; at ``due`` (if any) the request's default applies."""


class StartChild(_Wait, frozen=True):
    """Run the child that the request names, if it does not exist yet, and answer with its result."""


class CancelTask(msgspec.Struct, frozen=True):
    """Stop the body and record ``NodeStopped``."""

    task: str
    node: str
    attempt: int


class FinishRun(msgspec.Struct, frozen=True):
    """Record ``RunFinished`` with this payload."""

    state: Literal["completed", "failed", "cancelled"]
    status: Status | None
    payload: dict[str, Any]


Command = RunNode | Sleep | AwaitDecision | StartChild | CancelTask | FinishRun
