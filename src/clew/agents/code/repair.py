"""A repair from beginning to end, over any way of calling the jobs: directly, or each as an effect of a body."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from clew.agents.code.search import Search

Perform = Callable[..., Awaitable[Any]]
"""``await perform(name, *args)``: the job of that name on JSON arguments, or its recorded result."""
Json = dict[str, Any]

VERIFY_AT_MOST = 5
SUSPECTS_SHOWN = 8
OTHERS_SHOWN = 3
MISSES = 3
"""Targets that a candidate may leave failing before it is given up, where several faults are looked for."""


class _Round(msgspec.Struct):
    """What one search for one change came to; ``verified`` repairs everything, ``part`` some of it."""

    verified: Json | None = None
    part: Json | None = None
    reason: str = ""
    others: list[Json] = []


class _Repair:
    """Searches for one change after the other, each on top of those before it."""

    def __init__(self, perform: Perform, request: Json, limits: Json) -> None:
        self.perform = perform
        self.request = request
        self.limits = limits
        self.tried = 0
        self.refused = 0
        self.seconds = 0.0
        self.verdicts: dict[str, int] = {}

    async def search(self, suite: Json, located: Json, *, last: bool) -> _Round:
        """One change: of all targets, or unless it is the ``last`` also of some of them."""
        tries, seconds = self.limits["max_tries"] - self.tried, self.limits["time_limit"] - self.seconds
        several = not last and len(located["targets"]) > 1
        state = Search(located["candidates"], tries, seconds, whole=located.get("whole", True))
        found, refused, alone = _Round(), 0, True
        while not found.verified and not found.part and alone and refused < VERIFY_AT_MOST:
            batch = state.next_batch()
            if batch is None:
                break
            asked = {"start": batch.start, "count": batch.count, **({"misses": MISSES} if several else {})}
            result = await self.perform("evaluate", self.request, suite, located, asked)
            alone = bool(result["alone"])
            state.ignore(result.get("free", ()))
            state.take(result["verdicts"], result["seconds"], result.get("repairs", ()))
            passed = state.drain() if alone else []
            for at, repair in enumerate(passed[: VERIFY_AT_MOST - refused]):
                outcome = await self.perform("verify", self.request, suite, located, repair.rank)
                if outcome["fixed"]:
                    found.verified = {**outcome, "rank": repair.rank}
                    found.others = [_shown(other) for other in passed[at + 1 :]]
                    break
                refused += 1
            while several and alone and not found.verified and not found.part and refused < VERIFY_AT_MOST:
                repair = state.part()
                if repair is None:
                    break
                outcome = await self.perform("verify", self.request, suite, located, repair.rank)
                if outcome["fixed"]:
                    found.verified = {**outcome, "rank": repair.rank}
                elif outcome["better"]:
                    found.part = {**outcome, "rank": repair.rank}
                else:
                    refused += 1
        found.reason = "found" if found.verified else "refused" if refused >= VERIFY_AT_MOST else state.reason
        found.reason = found.reason if alone else "order_dependent"
        self._count(state, refused)
        return found

    def _count(self, state: Search, refused: int) -> None:
        self.tried += state.tried
        self.seconds += state.seconds
        self.refused += refused
        for verdict, count in state.counts.items():
            self.verdicts[verdict] = self.verdicts.get(verdict, 0) + count

    async def fewest(self, suite: Json, located: Json, verified: Json) -> Json:
        """The same repair without the edits that nothing needs."""
        edits: list[Json] = verified["edits"]
        for edit in list(edits):
            fewer = [other for other in edits if other != edit]
            if fewer:
                outcome = await self.perform("confirm", self.request, suite, located, fewer)
                if outcome["fixed"]:
                    edits, verified = fewer, {**outcome, "rank": verified["rank"]}
        return verified


async def search(perform: Perform, request: Json, suite: Json, located: Json, limits: Json) -> Json:
    """Judge batches until something passes and the whole suite agrees, or a limit is met.

    ``limits``: ``max_tries`` candidates and ``time_limit`` seconds in all, and ``changes``: how many changes are made one
    after the other (default 1), where none repairs everything but one repairs some of the failing tests and breaks none.
    Returns ``{verified, part, reason, tried, seconds, verdicts, refused, others}``: ``verified`` is the result of the job
    ``verify`` (or ``confirm``) with ``rank`` added, or None; ``part``, where nothing is verified, the same of a repair of
    some of the failing tests; ``others`` are candidates that passed too, in the batch of the one that was taken.
    """
    work = _Repair(perform, request, limits)
    most = limits.get("changes", 1)
    now, place = suite, located
    part: Json | None = None
    found = _Round(reason="no_target")
    made = 0
    while place["targets"]:
        made += 1
        found = await work.search(now, place, last=made >= most)
        if found.verified or not found.part:
            break
        part = found.part
        now = _left(now, place, part)
        place = await perform("locate", request, now, part["edits"])
    verified = found.verified
    if verified and part:
        verified = await work.fewest(suite, located, verified)
    return {
        "verified": verified,
        "part": None if verified else part,
        "reason": found.reason,
        "tried": work.tried,
        "seconds": round(work.seconds, 3),
        "verdicts": work.verdicts,
        "refused": work.refused,
        "others": found.others,
    }


def _left(suite: Json, located: Json, part: Json) -> Json:
    """The suite as it stands after a part of the failing tests was repaired."""
    remaining = part["remaining"]
    return {
        **suite,
        "failing": remaining,
        "others": [*suite["others"], *located["set_aside"]],
        "hanging": [test for test in suite["hanging"] if test in remaining],
        "passed": part["tests_after"]["passed"],
    }


def _shown(repair: Any) -> Json:
    return {"file": repair.file, "line": repair.line, "operator": repair.operator}


def suspects(located: dict[str, Any], count: int = SUSPECTS_SHOWN) -> list[dict[str, Any]]:
    """The most suspicious lines, as they are shown to a user."""
    return [{key: s[key] for key in ("file", "line", "score")} for s in located["suspects"][:count]]


def counts(suite: dict[str, Any]) -> dict[str, int]:
    """Tests that passed and failed before anything was changed."""
    return {key: suite[key] for key in ("passed", "failed", "skipped")}


def report(suite: dict[str, Any], located: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """What a user is told, repaired or not. Seconds are those the jobs measured, so that a replay says the same."""
    part: Json | None = found.get("part")
    verified: Json = found["verified"] or {}
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
        "others": {"count": len(found.get("others", ())), "first": list(found.get("others", ()))[:OTHERS_SHOWN]},
        "part": part and {key: part[key] for key in ("diff", "remaining", "tests_after")},
        "changed": [{key: e[key] for key in ("file", "line", "operator")} for e in verified.get("edits", ())],
        "suspects": suspects(located),
        "seconds": {"tests": suite["seconds"], "localise": located["seconds"], "search": found["seconds"]},
        "interpreter": suite["interpreter"]["executable"],
    }
