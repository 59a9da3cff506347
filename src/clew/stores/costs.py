"""The projection of costs: what was paid and used, added up per run, day, node, agent, model and deployment."""

from collections.abc import Mapping
from types import MappingProxyType

from clew.core.events import EffectFinished
from clew.gate.ports.projection import Entry, Tx
from clew.stores.money import to_pico

DAY_MS = 86_400_000
MOST_TOKENS = 10**12
"""Of one effect. What a provider reports may be nonsense, and must not overflow the sums."""

SUMS = (
    "calls",
    "reused",
    "unpriced",
    "cost",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
)
_GROUP = "run, day, node, agent, kind, name, by"
_COLUMNS = (
    "run TEXT NOT NULL, day INTEGER NOT NULL, node TEXT NOT NULL, agent TEXT NOT NULL, kind TEXT NOT NULL, "
    "name TEXT NOT NULL, by TEXT NOT NULL, "
)
_COSTS = (
    f"CREATE TABLE costs ({_COLUMNS}{', '.join(f'{name} INTEGER NOT NULL' for name in SUMS)})",
    f"CREATE UNIQUE INDEX costs_group ON costs({_GROUP})",
)
_ADD = (
    f"INSERT INTO costs({_GROUP}, {', '.join(SUMS)}) VALUES ({', '.join('?' * (7 + len(SUMS)))}) "  # noqa: S608 - constants
    f"ON CONFLICT({_GROUP}) DO UPDATE SET {', '.join(f'{name} = {name} + excluded.{name}' for name in SUMS)}"
)


class Costs:
    """Effects that say what they cost or used. Facts only, so it outlives the erasure of payloads.

    ``cost`` in picodollars (1e-12 US dollars: one token of the cheapest list price, $0.0011 per million, is 1,100 of them),
    ``day`` in UTC days since 1970-01-01. ``calls`` counts effects; among them ``reused`` those that were answered from
    the cache, ``unpriced`` those whose price is not known: their cost is not in the sum. ``by`` is the deployment.
    """

    name = "costs"
    version = 2
    lazy = False
    facts = (EffectFinished,)
    tables: Mapping[str, tuple[str, ...]] = MappingProxyType({"costs": _COSTS})

    def apply(self, entry: Entry, tx: Tx) -> None:
        fact = entry.fact
        if not isinstance(fact, EffectFinished) or not (fact.cost or fact.usage is not None):
            return
        usage = fact.usage or {}
        group = (entry.run, entry.at // DAY_MS, fact.node, fact.agent, fact.kind, fact.name, fact.by)
        tokens = (tokens_of(usage, name) for name in SUMS[4:])
        tx.execute(_ADD, (*group, 1, int(fact.tries == 0), int(not fact.cost), to_pico(fact.cost), *tokens))


def tokens_of(usage: Mapping[str, int], *names: str) -> int:
    """Tokens of these kinds together, within bounds."""
    return sum(min(max(usage.get(name, 0), 0), MOST_TOKENS) for name in names)
