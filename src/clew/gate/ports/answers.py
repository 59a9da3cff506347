"""Answers that were recorded before, found by what was asked. The journal is where they are; nothing is kept twice."""

from typing import Any, Protocol

import msgspec


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """Where an answer stands: event ``seq`` of ``run``, which followed ``plan`` (its address). ``by``: who answered."""

    run: str
    seq: int
    key: str
    by: str
    plan: str


class Answers(Protocol):
    async def candidates(self, tenant: str, digest: str) -> list[Recorded]:
        """Answers to effects of this request digest that were performed for this tenant and went well, newest first."""
        ...

    async def output(self, recorded: Recorded) -> Any:
        """What was answered; None where that was erased, or is the answer to a request that was changed on the way."""
        ...
