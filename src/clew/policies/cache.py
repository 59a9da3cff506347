"""The response cache (requirement G2): a model that declares ``cache: true`` answers a repeated request from the journal.

Reused is an answer that this tenant was given to the same request (its digest: model, messages, tools, schema, parameters)
by a deployment that the model still has, and that is still the same service. Nothing is performed, nothing is paid; the
note says where the answer comes from. Not reused: an answer that was cut off, filtered or empty; the answer that an earlier
attempt of this node was given, for a retry is to try otherwise. Identical requests that are under way at the same time
are each performed: the second does not wait for the first.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from clew.core.events import Event
from clew.gate.effect import Effect, Outcome
from clew.gate.interceptor import Call, Proceed
from clew.gate.ports.answers import Answers, Recorded
from clew.gate.ports.model import ModelAnswer

Same = Callable[[str, str], Awaitable[bool]]
"""``(plan, deployment)``: whether the deployment of that recorded plan is the same service in the present one."""

_WHOLE = ("stop", "tool_call")


class Cache:
    """``models``: name of a model that is cached -> the deployments that it has now."""

    name = "cache"

    def __init__(self, answers: Answers, models: Mapping[str, frozenset[str]], same: Same) -> None:
        self._answers, self._models, self._same = answers, models, same

    async def around(self, effect: Effect, call: Call, proceed: Proceed) -> Outcome:
        if effect.kind != "model" or effect.name not in self._models:
            return await proceed(effect)
        for recorded in await self._answers.candidates(call.principal.tenant, effect.digest):
            if await self._fits(recorded, effect, call) and _whole(output := await self._answers.output(recorded)):
                call.note(self.name, {"run": recorded.run, "seq": recorded.seq})
                return Outcome(output=output, cost="0", by=recorded.by, tries=0)
        return await proceed(effect)

    async def _fits(self, recorded: Recorded, effect: Effect, call: Call) -> bool:
        if recorded.by not in self._models[effect.name]:
            return False
        if recorded.run == call.run and _other_attempt(recorded.key, effect.key):
            return False
        return await self._same(recorded.plan, recorded.by)

    def fold(self, state: Any, event: Event) -> Any:
        return state


def _whole(output: Any) -> bool:
    try:
        answer = msgspec.convert(output, ModelAnswer)
    except msgspec.ValidationError:
        return False
    return bool(answer.parts) and answer.finish in _WHOLE


def _other_attempt(one: str, other: str) -> bool:
    """Whether two keys (``task/node#attempt/…``) are of different attempts of one node execution."""
    a, b = ("/".join(key.split("/", 2)[:2]) for key in (one, other))
    return a != b and a.rpartition("#")[0] == b.rpartition("#")[0]
