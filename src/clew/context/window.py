"""What an agent is shown: a pure function of candidates, room and policy. Every item says why it is there, every other why not."""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, Literal

import msgspec

from clew.context import tokens

Policy = Literal["recency", "semantic", "hybrid"]

DEFAULT_TOKENS = 4000
LEAST_CUT = 64
"""Tokens below which a piece of a document is worth nothing."""
MOST_LEFT_OUT = 50
_FEW, _MANY = 10, 1000
_SHORT = 40
"""Tokens of a short document."""
CUT = "\n[cut: the rest did not fit]"


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A document that might be shown. ``score``: fused, larger is better; ``found``: ranks and scores of the lists."""

    id: str
    scope: str
    text: str
    at: int
    score: float = 0.0
    found: dict[str, Any] = {}
    metadata: dict[str, Any] = {}


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """What is shown of a document. ``reason``: its place in the order and what put it there."""

    id: str
    scope: str
    text: str
    tokens: int
    reason: str
    cut: bool = False
    metadata: dict[str, Any] = {}


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """``tokens`` of ``budget`` are used. ``left_out``: ``{id, scope, why}`` of the best that are not shown."""

    items: tuple[Item, ...]
    tokens: int
    budget: int
    left_out: tuple[dict[str, str], ...] = ()


def enough(budget: int) -> int:
    """How many documents of a source are worth a look: as many short ones as would use up the room."""
    return min(max(_FEW, budget // _SHORT), _MANY)


def assemble(candidates: Sequence[Candidate], budget: int, policy: Policy) -> Window:
    """Best first until the room is used up; a document that is too long is cut where that leaves something worth reading."""
    items: list[Item] = []
    left_out: list[dict[str, str]] = []
    shown: dict[bytes, str] = {}
    room = budget
    for place, one in enumerate(_order(candidates, policy), 1):
        print_of = blake2b(one.text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        same, size = shown.get(print_of), tokens.count(one.text)
        if same is not None:
            left_out.append({"id": one.id, "scope": one.scope, "why": f"says the same as {same}"})
            continue
        text, whole = one.text, size <= room
        if not whole:
            text = tokens.cut(one.text, room - tokens.count(CUT)) if room >= LEAST_CUT else ""
            if not text:
                left_out.append({"id": one.id, "scope": one.scope, "why": f"no room: {size} tokens, {room} left"})
                continue
            text += CUT
            size = tokens.count(text)
        shown[print_of] = one.id
        room -= size
        reason = f"{_why(one, policy)}; {_th(place)} of {len(candidates)}"
        items.append(
            Item(
                id=one.id, scope=one.scope, text=text, tokens=size, reason=reason, cut=not whole, metadata=one.metadata
            )
        )
    return Window(items=tuple(items), tokens=budget - room, budget=budget, left_out=tuple(left_out[:MOST_LEFT_OUT]))


def _order(candidates: Sequence[Candidate], policy: Policy) -> list[Candidate]:
    if policy == "recency":
        return sorted(candidates, key=lambda one: (-one.at, one.scope, one.id))
    return sorted(candidates, key=lambda one: (-one.score, one.scope, one.id))


def _why(one: Candidate, policy: Policy) -> str:
    if policy == "recency":
        return "among the latest"
    ranks = [f"{name[:-5]} rank {rank}" for name, rank in one.found.items() if name.endswith("_rank") and rank]
    return "found by " + (", ".join(ranks) or policy)


def _th(place: int) -> str:
    return {1: "1st", 2: "2nd", 3: "3rd"}.get(place, f"{place}th")
