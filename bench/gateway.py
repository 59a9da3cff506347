"""The gateway, measured: a storm of faults, and what routing by complexity saves.

    python bench/gateway.py [--json] [--requests 10000] [--concurrency 100] [--seed 1]

Storm: three deployments that fail at random (30 %, 20 %, 10 %), time on a manual clock; added latency is what a request
waits beyond the time that its answer took. Overhead: the gateway over a client that answers at once, in real time. Routing: the
labelled queries of ``bench/routing`` against asking the large model always. No model is asked, so nothing is said of the answers'
quality: ``asked again`` counts a query that went to too small a model as paid twice.
"""

import argparse
import asyncio
import json
import random
import statistics
import time
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from clew.core.errors import Failure
from clew.gate.effect import Effect, Outcome
from clew.gate.ports.clock import Clock
from clew.gate.ports.model import Answered, Emit, Message, ModelAnswer, ModelRequest, Text, Usage
from clew.models.catalog import Catalog, Choice, Logical, Prices, Provider, Rule
from clew.models.gateway import Gateway
from clew.models.price import Pricer
from clew.models.routing import decide
from clew.runtime.clock import SystemClock
from clew.testing import ManualClock

QUERIES = Path(__file__).parent / "routing" / "queries.jsonl"

FAULTY = {"a": 0.3, "b": 0.2, "c": 0.1}
FAULTS = ("provider_error", "provider_timeout", "provider_unreachable", "bad_answer", "rate_limited")
SERVED_MS = (200, 600)
"""An answer takes so long, a multiple of 20 ms in between."""


class Silent:
    """Streams that nobody listens to."""

    def wanted(self, run: str) -> bool:
        del run
        return False

    def send(self, chunk: Any) -> None:
        raise AssertionError(chunk)


class Flaky:
    """Echoes the request's words after a while on the clock, or fails."""

    def __init__(self, clock: Clock, chance: random.Random, rate: float) -> None:
        self._clock, self._chance, self._rate = clock, chance, rate
        self.asked = 0

    async def ask(self, model: str, request: ModelRequest, emit: Emit | None = None) -> Answered:
        del model, emit
        self.asked += 1
        wrong = self._chance.random() < self._rate
        served = self._chance.randrange(*SERVED_MS, 20)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._clock.at(self._clock.now() + served, lambda: done.done() or done.set_result(None))
        await done
        if wrong:
            code = self._chance.choice(FAULTS)
            raise Failure(
                "a fault of the storm", code=code, details={"retry_after_ms": 500} if code == "rate_limited" else None
            )
        part = request.messages[-1].parts[0]
        return Answered(answer=ModelAnswer(parts=(part,)), usage=Usage(input_tokens=10, output_tokens=10))

    async def close(self) -> None:
        pass


def effect_of(number: int, model: str = "any") -> Effect:
    request = ModelRequest(model=model, messages=(Message("user", (Text(f"request {number}"),)),))
    return Effect(
        key=f"t{number}/n#1/1", kind="model", name=model, request=msgspec.to_builtins(request), task=f"t{number}",
        node="n", run="storm", repeat_safe=True,
    )  # fmt: skip


async def storm(
    requests: int = 10_000, concurrency: int = 100, seed: int = 1, strategy: Any = "balance"
) -> dict[str, Any]:
    """Every request asked once of the gateway, ``concurrency`` at a time."""
    clock = ManualClock()
    providers = {
        name: Provider(id=name, type="openai_compatible", prices=Prices(input="1", output="1")) for name in FAULTY
    }
    model = Logical(name="any", use=tuple(Choice(f"{name}/m") for name in FAULTY), strategy=strategy)
    chance = random.Random(seed)
    clients = {name: Flaky(clock, chance, rate) for name, rate in FAULTY.items()}
    gateway = Gateway(
        Catalog(providers, {"any": model}), lambda p: clients[p.id], clock=clock, streams=Silent(), price=Pricer()
    )
    outcomes: list[Outcome | None] = [None] * requests
    added = [0] * requests
    numbers = iter(range(requests))

    async def worker() -> None:
        for number in numbers:
            begun = clock.now()
            outcomes[number] = outcome = await gateway.perform(effect_of(number))
            tries = outcome.notes["gateway"]["tries"]
            added[number] = clock.now() - begun - (tries[-1]["ms"] if outcome.status == "ok" else 0)

    work = asyncio.gather(*(worker() for _ in range(concurrency)))
    began, at = time.perf_counter(), clock.now()
    while not work.done():
        for _ in range(6):
            await asyncio.sleep(0)
        clock.jump()
    await work
    await gateway.close()
    return _storm_report(outcomes, added, clients) | {
        "strategy": strategy, "concurrency": concurrency, "seed": seed,
        "virtual_s": (clock.now() - at) / 1000, "real_s": round(time.perf_counter() - began, 2),
    }  # fmt: skip


def _storm_report(outcomes: list[Outcome | None], added: list[int], clients: dict[str, Flaky]) -> dict[str, Any]:
    got = [outcome for outcome in outcomes if outcome is not None]
    good = [outcome for outcome in got if outcome.status == "ok"]
    misplaced = sum(
        outcome.status == "ok" and outcome.output["parts"][0]["content"] != f"request {number}"
        for number, outcome in enumerate(outcomes) if outcome is not None
    )  # fmt: skip
    latency = sorted(added)
    return {
        "requests": len(outcomes),
        "lost": len(outcomes) - len(got),
        "misplaced": misplaced,
        "success": len(good) / len(outcomes),
        "tries_noted": sum(outcome.tries for outcome in got),
        "tries_made": sum(client.asked for client in clients.values()),
        "answered_by": dict(Counter(outcome.by for outcome in good)),
        "added_ms": {
            name: latency[int(len(latency) * part)]
            for name, part in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p999", 0.999))
        }
        | {"max": latency[-1]},
    }


class Instant:
    """Answers at once."""

    answered = Answered(answer=ModelAnswer(parts=(Text("yes"),)), usage=Usage(input_tokens=10, output_tokens=1))

    async def ask(self, model: str, request: ModelRequest, emit: Emit | None = None) -> Answered:
        del model, request, emit
        return self.answered

    async def close(self) -> None:
        pass


async def overhead(calls: int = 5_000, rounds: int = 5) -> dict[str, float]:
    """Microseconds of a call through the gateway whose client answers at once: by declared order, and routed by rules."""
    provider = Provider(id="a", type="openai_compatible", prices=Prices(input="1", output="1"))
    plain_model = Logical(name="any", use=(Choice("a/m"),))
    gateway = Gateway(
        Catalog({"a": provider}, {"any": plain_model, "auto": tier_rules("any", "any", "any")}),
        lambda _: Instant(), clock=SystemClock(), streams=Silent(), price=Pricer(),
    )  # fmt: skip
    found: dict[str, float] = {}
    for name in ("any", "auto"):
        effects = [effect_of(number, name) for number in range(calls)]
        took: list[float] = []
        for _ in range(rounds):
            began = time.perf_counter()
            for effect in effects:
                await gateway.perform(effect)
            took.append((time.perf_counter() - began) / calls * 1e6)
        found[name] = round(statistics.median(took), 1)
    await gateway.close()
    return {"declared_us": found["any"], "routed_us": found["auto"]}


# -- routing ---------------------------------------------------------------------------------------------------

LEVELS = ("simple", "medium", "complex")
TIERS = {
    "simple": Provider(id="small", type="openai_compatible", prices=Prices(input="0.05", output="0.40")),
    "medium": Provider(id="middle", type="openai_compatible", prices=Prices(input="0.25", output="2")),
    "complex": Provider(id="large", type="openai_compatible", prices=Prices(input="1.75", output="14")),
}
"""List prices of a family of three sizes (gpt-5-nano, gpt-5-mini, gpt-5.2), US dollars per million tokens."""

SIZES = {
    "every answer 500 tokens": (500, (500, 500, 500)),
    "answers 60/350/900 by label": (1000, (60, 350, 900)),
}
"""Assumption -> tokens of instructions that go with every query, and of the answer by what the query is labelled."""


def tier_rules(simple: str, medium: str, complex_: str) -> Logical:
    rules = (Rule(use=simple, complexity="simple"), Rule(use=complex_, complexity="complex"), Rule(use=medium))
    return Logical(name="auto", route=rules)


def routing(rows: list[dict[str, str]]) -> dict[str, Any]:
    """How labelled queries are routed, and what that costs against asking the large model always.

    ``asked_again``: every query that was sent to too small a model is paid for twice, the second time at the large one.
    ``perfect``: what the labels themselves would save.
    """
    providers = {provider.id: provider for provider in TIERS.values()}
    catalog = Catalog(providers, {"auto": tier_rules("small/m", "middle/m", "large/m")})
    level_of = {provider.id: level for level, provider in TIERS.items()}
    table = {label: dict.fromkeys(LEVELS, 0) for label in LEVELS}
    kinds: Counter[tuple[str, str]] = Counter()
    took: list[tuple[dict[str, str], str]] = []
    for number, row in enumerate(rows):
        request = ModelRequest(model="auto", messages=(Message("user", (Text(row["query"]),)),))
        decision = decide(catalog, effect_of(number, "auto"), request, lambda _: None)
        level = level_of[decision.chain[0].partition("/")[0]]
        assert decision.verdict is not None
        table[row["complexity"]][level] += 1
        kinds[row["kind"], decision.verdict.kind] += 1
        took.append((row, level))
    under = sum(table[label][level] for i, label in enumerate(LEVELS) for level in LEVELS[:i])
    right = sum(table[level][level] for level in LEVELS)
    is_code = sum(count for (label, _), count in kinds.items() if label == "code")
    said_code = sum(count for (_, said), count in kinds.items() if said == "code")
    return {
        "queries": len(rows),
        "accuracy": round(right / len(rows), 4),
        "too_small": under,
        "too_large": len(rows) - right - under,
        "confusion": table,
        "kind_accuracy": round(sum(count for (label, said), count in kinds.items() if label == said) / len(rows), 4),
        "code": {"labelled": is_code, "said": said_code, "both": kinds["code", "code"]},
        "saved": {name: _saved(took, *sizes) for name, sizes in SIZES.items()},
    }


def _saved(
    took: list[tuple[dict[str, str], str]], instructions: int, answers: tuple[int, int, int]
) -> dict[str, float]:
    always = routed = again = perfect = Decimal(0)
    for row, level in took:
        label = row["complexity"]
        tokens = instructions + len(row["query"]) // 4, answers[LEVELS.index(label)]
        large = _bill("complex", *tokens)
        always += large
        routed += _bill(level, *tokens)
        again += _bill(level, *tokens) + (large if LEVELS.index(level) < LEVELS.index(label) else 0)
        perfect += _bill(label, *tokens)
    return {
        name: round(float(1 - part / always), 4)
        for name, part in (("routed", routed), ("asked_again", again), ("perfect", perfect))
    }


def _bill(level: str, tokens_in: int, tokens_out: int) -> Decimal:
    return Decimal(Pricer()(TIERS[level], "m", Usage(input_tokens=tokens_in, output_tokens=tokens_out), 0).cost)


def halves(path: Path = QUERIES) -> dict[str, list[dict[str, str]]]:
    """By line number from 1. Cues were tuned on the even lines; of the odd ones only these figures were seen."""
    rows = [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
    return {"even (tuned on)": rows[1::2], "odd (unseen)": rows[0::2], "all": rows}


# -- printing --------------------------------------------------------------------------------------------------


def _print_storm(report: dict[str, Any]) -> None:
    added = "  ".join(f"{name} {ms} ms" for name, ms in report["added_ms"].items())
    print(f"\nstorm, {report['strategy']}, {report['concurrency']} at a time: {report['requests']} requests")
    print(f"  success {report['success']:.4%}   lost {report['lost']}   misplaced {report['misplaced']}")
    print(f"  tries {report['tries_made']} made, {report['tries_noted']} noted   answered by {report['answered_by']}")
    print(f"  added latency: {added}   ({report['virtual_s']} s on the clock, {report['real_s']} s in truth)")


def _print_routing(name: str, report: dict[str, Any]) -> None:
    print(f"\nrouting, {name}: {report['queries']} queries, accuracy {report['accuracy']:.1%}", end="")
    print(f" (too small {report['too_small']}, too large {report['too_large']})", end="")
    print(f"; kind {report['kind_accuracy']:.1%}; code {report['code']}")
    print("  label \\ routed as" + "".join(f"{level:>9}" for level in LEVELS))
    for label in LEVELS:
        print(f"  {label:>17}" + "".join(f"{report['confusion'][label][level]:>9}" for level in LEVELS))
    for assumption, saved in report["saved"].items():
        print(f"  saved, {assumption}: " + ", ".join(f"{what} {part:.1%}" for what, part in saved.items()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--concurrency", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    storms = [
        asyncio.run(storm(options.requests, options.concurrency, options.seed, s)) for s in ("fallback", "balance")
    ]
    over = asyncio.run(overhead())
    routed = {name: routing(rows) for name, rows in halves().items()}
    if options.json:
        print(json.dumps({"storm": storms, "overhead": over, "routing": routed}))
        return
    for report in storms:
        _print_storm(report)
    print(
        f"\noverhead of a call, median: {over['declared_us']} µs in declared order, {over['routed_us']} µs routed by rules"
    )
    for name, report in routed.items():
        _print_routing(name, report)


if __name__ == "__main__":
    main()
