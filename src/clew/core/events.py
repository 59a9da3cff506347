"""Facts: the closed union of what can be true about a run. A journal is a list of these.

An ``Event`` is a fact with its payload and time. The fact (the *envelope*) names things and holds no content; content -
inputs, outputs, messages, requests - is the payload, kept out of line so that it can be erased with the chain intact.
Each fact says below what its payload is. Editing rule: facts are only ever added, and fields only with a default:
recorded histories are read for ever.
"""

from typing import Any, Literal

import msgspec

CORE_VERSION = 1
"""Version of the rules by which facts are folded; recorded in each run."""

Status = Literal["success", "failure", "partial"]
EffectStatus = Literal["ok", "error", "denied"]


class Principal(msgspec.Struct, frozen=True, omit_defaults=True):
    """On whose behalf a run acts."""

    tenant: str = "local"
    user: str = "local"
    session: str = ""


class ForkOf(msgspec.Struct, frozen=True):
    """Where a fork was cut: the parent run, the last event taken and its hash there."""

    run: str
    seq: int
    hash: str


class _Fact(msgspec.Struct, frozen=True, tag=True, tag_field="type", omit_defaults=True, kw_only=True):
    pass


class RunStarted(_Fact, frozen=True):
    """Payload ``{"input": any, "overrides"?: {…}, "deployment"?: {…}}``. ``plan`` is the digest of the recorded Plan (a blob)."""

    run: str
    workflow: str
    plan: str
    start: str
    mode: str = "implement"
    seed: int = 0
    core: int = CORE_VERSION
    flags: tuple[str, ...] = ()
    engine: str = ""
    principal: Principal = Principal()
    idempotency: str = ""
    deadline: int | None = None
    """Milliseconds since the epoch; final (W9)."""
    parent: str = ""
    """Effect key in the parent run's journal, ``run:key``, of a child run."""
    fork_of: ForkOf | None = None


class DriverStarted(_Fact, frozen=True):
    """A process took the run. What was running when the last driver died is entered again. No payload."""

    owner: str
    epoch: int
    engine: str = ""


class DriverStopped(_Fact, frozen=True):
    """The driver gave the run up in order: what ran is entered again, and is not counted as crashed. No payload."""

    reason: str = ""


class NodeStarted(_Fact, frozen=True):
    """A body is entered. ``entry`` counts entries of this attempt from 1. No payload: the input is the task's."""

    task: str
    node: str
    attempt: int
    entry: int = 1


class NodeCompleted(_Fact, frozen=True):
    """Payload: the node's output."""

    task: str
    node: str
    attempt: int


class NodeFailed(_Fact, frozen=True):
    """Payload ``{"message": str, "details"?: any}``."""

    task: str
    node: str
    attempt: int
    code: str


class NodeSuspended(_Fact, frozen=True):
    """The body was unloaded; it waits for the waits it opened. ``ms``: running time used so far. No payload."""

    task: str
    node: str
    attempt: int
    ms: int = 0


class NodeStopped(_Fact, frozen=True):
    """The body of a cancelled task is gone, and what it had in flight is recorded. No payload."""

    task: str
    node: str
    attempt: int


class EffectStarted(_Fact, frozen=True):
    """Intent, durable before an effect that is not safe to repeat, and the opening of every wait. Payload: the request."""

    key: str
    kind: str
    name: str
    digest: str
    task: str
    node: str
    wait: bool = False
    due: int | None = None
    """Waits only: when the wait ends by itself (ms since the epoch)."""


class EffectFinished(_Fact, frozen=True):
    """Outcome, durable before it is used. Payload ``{"output": any}`` or ``{"error": {code, message, details?}}``,

    with ``"request"`` where no ``EffectStarted`` holds it, ``"performed"`` where the arguments were changed on the way,
    ``"notes"`` (interceptor name -> what it decided), and ``"paid"`` in a fork (cost and usage, as its parent paid them).
    """

    key: str
    kind: str
    name: str
    digest: str
    task: str
    node: str
    status: EffectStatus = "ok"
    tries: int = 1
    ms: int = 0
    cost: str = ""
    """US dollars, a decimal number in text."""
    usage: dict[str, int] | None = None
    agent: str = ""
    """The agent on whose behalf it was done, where a body is an agent's."""
    by: str = ""
    """Who did it, where the driver had a choice: of a model effect the deployment, ``provider/name``."""


class RunPaused(_Fact, frozen=True):
    """No new body starts until ``RunUnpaused``. No payload."""

    reason: str = ""
    node: str = ""


class RunUnpaused(_Fact, frozen=True):
    by: str = ""


class StopRequested(_Fact, frozen=True):
    """The run is to end now. Payload ``{"reason": str}``."""

    code: Literal["cancelled", "deadline_exceeded", "budget_exhausted"] = "cancelled"
    by: str = ""


class RunFinished(_Fact, frozen=True):
    """Payload: ``{"output": any}``, with ``"error"`` where the run failed. A cancelled run has no status."""

    state: Literal["completed", "failed", "cancelled"]
    status: Status | None = None


class PayloadsErased(_Fact, frozen=True):
    """Payloads of the named events were erased. Payload ``{"reason": str}``."""

    seqs: tuple[int, ...]
    by: str = ""


class Noted(_Fact, frozen=True):
    """A remark that changes nothing in the machine (e.g. accepted change of a handler). Payload: anything."""

    name: str
    by: str = ""


Fact = (
    RunStarted
    | DriverStarted
    | DriverStopped
    | NodeStarted
    | NodeCompleted
    | NodeFailed
    | NodeSuspended
    | NodeStopped
    | EffectStarted
    | EffectFinished
    | RunPaused
    | RunUnpaused
    | StopRequested
    | RunFinished
    | PayloadsErased
    | Noted
)


class Event(msgspec.Struct, frozen=True):
    """A fact with its payload (JSON, ``None`` where the fact has none) and time (ms since the epoch)."""

    fact: Fact
    payload: Any = None
    at: int = 0
