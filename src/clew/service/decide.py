"""Approve, reject or answer what a run asks of a human."""

from typing import Any

import msgspec

from clew.core.errors import Conflict, Failure, NotFound, UsageError
from clew.gate.schema import Validator, listed
from clew.runtime.host import Host
from clew.service.runs import Waiting, tell, waiting
from clew.service.wiring import Workspace


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """``value``: the answer, or the edited arguments; ``UNSET`` leaves them. ``digest``: of the request that was shown."""

    approve: bool
    by: str
    why: str = ""
    value: Any = msgspec.UNSET
    digest: str = ""


async def decide(workspace: Workspace, run: str, decision: Decision, key: str | None = None) -> Host | None:
    """Answer the one open question of a run, or the one named by ``key``.

    Returns the host where the run goes on here, None where its driver was told. Raises NotFound, UsageError for an answer that
    does not fit, Conflict where the request is no longer the one that was shown.
    """
    asked = await _asked(workspace, run, key)
    if decision.digest and decision.digest != asked.digest:
        raise Conflict(f"the request {asked.key} has changed since it was shown", hint="look at it again: clew show")
    body: dict[str, Any] = {
        "decision": "approve" if decision.approve else "reject",
        "by": decision.by,
        "why": decision.why,
        "digest": asked.digest,
    }
    if decision.approve:
        value = _value(asked, decision)
        if value is not msgspec.UNSET:
            body["value"] = value
    return await tell(workspace, asked.run, "answer", asked.key, body)


async def _asked(workspace: Workspace, run: str, key: str | None) -> Waiting:
    open_ones = await waiting(workspace, run)
    if key is not None:
        open_ones = [w for w in open_ones if w.key == key]
    if not open_ones:
        raise NotFound(f"run {run} asks nothing{f' under {key}' if key else ''} now")
    if len(open_ones) > 1:
        keys = ", ".join(w.key for w in open_ones)
        raise UsageError(f"run {run} asks several things; name one with --key: {keys}")
    return open_ones[0]


def _value(asked: Waiting, decision: Decision) -> Any:
    """The answer, checked against the schema that was shown."""
    request: dict[str, Any] = asked.request or {}
    schema = request.get("schema")
    if asked.name == "ask":
        value = None if decision.value is msgspec.UNSET else decision.value
    elif decision.value is msgspec.UNSET:
        return msgspec.UNSET
    elif not request.get("editable"):
        raise UsageError(f"the arguments of {asked.key} may not be edited")
    else:
        value = decision.value
    if schema is not None:
        try:
            problems = Validator(schema).problems(value)
        except Failure as failure:
            raise UsageError(f"the schema of {asked.key}: {failure}") from None
        if problems:
            raise UsageError(f"the answer does not fit: {listed(problems)}", hint="give it with --value JSON")
    return value
