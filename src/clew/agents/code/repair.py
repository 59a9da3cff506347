"""A repair from beginning to end, over any way of calling the jobs: directly, or each as an effect of a body."""

from collections.abc import Awaitable, Callable
from typing import Any

from clew.agents.code.search import Search

Perform = Callable[..., Awaitable[Any]]
"""``await perform(name, *args)``: the job of that name on JSON arguments, or its recorded result."""

VERIFY_AT_MOST = 5
SUSPECTS_SHOWN = 8


async def search(
    perform: Perform, request: dict[str, Any], suite: dict[str, Any], located: dict[str, Any], limits: dict[str, Any]
) -> dict[str, Any]:
    """Judge batches until something passes and the whole suite agrees, or a limit is met.

    ``limits``: ``max_tries`` candidates and ``time_limit`` seconds. Returns ``{verified, reason, tried, seconds,
    verdicts}``; ``verified`` is the result of the job ``verify`` with ``rank`` and ``line`` added, or None.
    """
    if not located["targets"]:
        return {"verified": None, "reason": "no_target", "tried": 0, "seconds": 0.0, "verdicts": {}, "refused": 0}
    state = Search(located["candidates"], limits["max_tries"], limits["time_limit"])
    refused: list[int] = []
    verified: dict[str, Any] | None = None
    alone = True
    while verified is None and alone and len(refused) < VERIFY_AT_MOST:
        batch = state.next_batch()
        if batch is None:
            break
        result = await perform("evaluate", request, suite, located, {"start": batch.start, "count": batch.count})
        alone = bool(result["alone"])
        state.take(result["verdicts"], result["seconds"])
        for rank in state.drain() if alone else ():
            outcome = await perform("verify", request, suite, located, rank)
            if outcome["fixed"]:
                verified = {**outcome, "rank": rank}
                break
            refused.append(rank)
            if len(refused) >= VERIFY_AT_MOST:
                break
    reason = "found" if verified else "refused" if len(refused) >= VERIFY_AT_MOST else state.reason
    return {
        "verified": verified,
        "reason": reason if alone else "order_dependent",
        "tried": state.tried,
        "seconds": round(state.seconds, 3),
        "verdicts": state.counts,
        "refused": len(refused),
    }


def suspects(located: dict[str, Any], count: int = SUSPECTS_SHOWN) -> list[dict[str, Any]]:
    """The most suspicious lines, as they are shown to a user."""
    return [{key: s[key] for key in ("file", "line", "score")} for s in located["suspects"][:count]]


def counts(suite: dict[str, Any]) -> dict[str, int]:
    """Tests that passed and failed before anything was changed."""
    return {key: suite[key] for key in ("passed", "failed", "skipped")}


def report(suite: dict[str, Any], located: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """What a user is told, repaired or not. Seconds are those the jobs measured, so that a replay says the same."""
    return {
        "reason": found["reason"],
        "tests_before": counts(suite),
        "failing": suite["failing"][:20],
        "messages": dict(list(suite["messages"].items())[:5]),
        "set_aside": [{"test": name, "why": why} for name, why in sorted(located["set_aside"].items())[:20]],
        "candidates": located["candidates"],
        "tried": found["tried"],
        "verdicts": found["verdicts"],
        "refused": found["refused"],
        "suspects": suspects(located),
        "seconds": {"tests": suite["seconds"], "localise": located["seconds"], "search": found["seconds"]},
        "interpreter": suite["interpreter"]["executable"],
    }
