"""The driver of ``selection`` effects: which agent of a pool does the work, chosen by recorded fitness.

Thompson sampling: an agent's success is drawn from Beta(1 + ended well, 1 + failed), and the highest draw is taken, so one of which
little is known is tried now and then, and one that fails is tried less and less, but never not at all (W. R. Thompson, "On the
likelihood that one unknown probability exceeds another", Biometrika 25, 1933; choices made side by side, before any of them has
ended, do not all fall on the same agent: O. Chapelle and L. Li, "An Empirical Evaluation of Thompson Sampling", NIPS 2011).
The draw is discounted by up to ``DISCOUNT`` each for cost and for latency, relative to the dearest and the slowest of the pool:
they decide between agents that do about equally well.

The generator is seeded from the effect's outward key, so the choice is a function of that key and the record; it is recorded
itself, and a resumed or replayed run keeps it. Edges are never learned: a pool decides who does a node's work, not where a
task goes.
"""

import random
from typing import Any

import msgspec

from clew.core.errors import Failure
from clew.core.identity import digest
from clew.gate.effect import Effect
from clew.gate.ports.journal import Journal
from clew.stores.fitness import Tally
from clew.stores.money import from_pico

WINDOW = 200
"""So many bodies of each agent count, the last ones: models and instructions change."""

DISCOUNT = 0.1


class Wanted(msgspec.Struct, frozen=True):
    """The request. ``models``: agent -> the model that it would ask; what it did with another one says nothing about it now."""

    pool: tuple[str, ...]
    models: dict[str, str] = {}


class Selector:
    """Performs ``selection`` effects: the output is ``{agent, why, scores}``."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def perform(self, effect: Effect) -> Any:
        """Raises Failure(``invalid_request``) for a request that names no pool."""
        try:
            wanted = msgspec.convert(effect.request, Wanted)
        except msgspec.ValidationError as error:
            raise Failure(f"selection {effect.name!r}: {error}", code="invalid_request") from None
        if not wanted.pool:
            raise Failure(f"selection {effect.name!r}: the pool is empty", code="invalid_request")
        return choose(wanted.pool, await self._tallies(effect.run, wanted), effect.outward_key)

    async def _tallies(self, run: str, wanted: Wanted) -> dict[str, Tally]:
        """What is recorded of each agent in this workflow and tenant."""
        origins = await self._journal.rows("fitness_runs", {"run": run}, 1)
        tallies = {agent: Tally() for agent in wanted.pool}
        for origin in origins:
            for agent, tally in tallies.items():
                where: dict[str, str | int] = {
                    "workflow": origin["workflow"],
                    "agent": agent,
                    "tenant": origin["tenant"],
                }
                if wanted.models.get(agent):
                    where["model"] = wanted.models[agent]
                rows = await self._journal.rows("fitness", where, 2 * WINDOW, newest=True)
                for row in [r for r in rows if r["state"] in ("ok", "failed")][-WINDOW:]:
                    tally.add(row)
        return tallies


def choose(pool: tuple[str, ...], tallies: dict[str, Tally], key: str) -> dict[str, Any]:
    """The agent with the highest score, the first of them in the order of the pool, and how it came about. Pure."""
    costs = {agent: _mean(tallies[agent].cost, tallies[agent]) for agent in pool}
    times = {agent: _mean(tallies[agent].ms, tallies[agent]) for agent in pool}
    priced = not any(tallies[agent].unpriced for agent in pool)
    scores: dict[str, dict[str, Any]] = {}
    for agent in pool:
        tally = tallies[agent]
        score = _drawn(tally, key, agent) * (1 - DISCOUNT * _share(times[agent], max(times.values())))
        if priced:
            score *= 1 - DISCOUNT * _share(costs[agent], max(costs.values()))
        scores[agent] = {
            "score": round(score, 6),
            "success": round(tally.ok / tally.bodies, 6) if tally.bodies else None,
            "latency_ms": times[agent],
            "cost": from_pico(costs[agent]) if not tally.unpriced else "",
            "bodies": tally.bodies,
        }
    agent = max(pool, key=lambda name: scores[name]["score"])
    return {"agent": agent, "why": _why(agent, tallies[agent], scores, priced=priced), "scores": scores}


def _drawn(tally: Tally, key: str, agent: str) -> float:
    return random.Random(digest([key, agent])).betavariate(1 + tally.ok, 1 + tally.failed)  # noqa: S311 - derived, not secret


def _mean(total: int, tally: Tally) -> int:
    return round(total / tally.bodies) if tally.bodies else 0


def _share(part: int, most: int) -> float:
    return part / most if most else 0.0


def _why(agent: str, tally: Tally, scores: dict[str, dict[str, Any]], *, priced: bool) -> str:
    known = f"{tally.ok} of {tally.bodies} ended well" if tally.bodies else "nothing is recorded of it yet"
    others = ", ".join(f"{name} {entry['score']:.3f}" for name, entry in scores.items() if name != agent)
    against = f", against {others}" if others else ""
    unpriced = "" if priced else "; cost was left out: not every price is known"
    return f"highest draw: {agent} {scores[agent]['score']:.3f} ({known}){against}{unpriced}"
