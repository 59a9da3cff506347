"""The projection ``fitness``: how each execution of a node by an agent went. Made of facts alone: it survives erasure."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from clew.core.events import EffectFinished, NodeCompleted, NodeFailed, NodeStopped, Noted, RunStarted
from clew.core.identity import body_key
from clew.gate.ports.projection import Entry, Tx
from clew.stores.costs import tokens_of
from clew.stores.money import to_pico

NOT_THE_AGENTS = frozenset(
    {
        "cancelled", "deadline_exceeded", "budget_exhausted", "interrupted",  # somebody ended it
        "rejected",  # a human refused the node's input, or what a policy asked about
        "invalid_input", "price_unknown", "no_driver", "no_credential", "no_adapter",  # it was not let begin, or not let go on
        "crashed", "in_doubt", "driver_error", "journal", "illegal_move",  # the engine's surroundings broke
        "integrity", "non_determinism", "tampered", "erased",  # the record did not hold
    }
)  # fmt: skip
"""Codes of a failed node that say nothing about its agent: such a body does not count.

Every other failure counts, also ``timeout``, wrong output, used-up limits and a model that could not be had: the work was not done.
"""

_COUNTED = ("model", "tool")
_BODIES = (
    (
        "CREATE TABLE fitness (run TEXT NOT NULL, key TEXT NOT NULL, tenant TEXT NOT NULL, workflow TEXT NOT NULL, "
        "agent TEXT NOT NULL, model TEXT NOT NULL, deployment TEXT NOT NULL, state TEXT NOT NULL, code TEXT NOT NULL, "
        "ms INTEGER NOT NULL, cost INTEGER NOT NULL, unpriced INTEGER NOT NULL, tokens INTEGER NOT NULL, "
        "used INTEGER NOT NULL)"
    ),
    "CREATE UNIQUE INDEX fitness_key ON fitness(run, key, agent)",
    "CREATE INDEX fitness_agent ON fitness(agent, workflow, tenant, model)",
)
_RUNS = (
    "CREATE TABLE fitness_runs (run TEXT NOT NULL, tenant TEXT NOT NULL, workflow TEXT NOT NULL)",
    "CREATE UNIQUE INDEX fitness_runs_run ON fitness_runs(run)",
)


class Fitness:
    """One row per agent and body (one attempt of one node by one task) in which it asked for something.

    ``state``: open, ok, failed, or void (ended without saying anything about the agent); ``model``: the logical model that it
    asked last, ``deployment``: what answered; ``ms``: time in its model and tool calls, so waiting for humans is not counted;
    ``cost`` in picodollars, ``unpriced``: model calls whose price is not known; ``tokens`` in and out; ``used``: its last event,
    ms since the epoch. What a fork copied counts for the parent only. Lazy: a reader always catches up first, so a choice
    sees everything that was durable before it.
    """

    name = "fitness"
    version = 1
    lazy = True
    facts = (RunStarted, EffectFinished, NodeCompleted, NodeFailed, NodeStopped, Noted)
    tables: Mapping[str, tuple[str, ...]] = MappingProxyType({"fitness": _BODIES, "fitness_runs": _RUNS})

    def apply(self, entry: Entry, tx: Tx) -> None:
        fact = entry.fact
        if isinstance(fact, EffectFinished):
            if fact.agent and fact.kind in _COUNTED:
                _add(entry, fact, tx)
        elif isinstance(fact, NodeCompleted):
            _end(entry, body_key(fact.task, fact.node, fact.attempt), "ok", "", tx)
        elif isinstance(fact, NodeFailed):
            state = "void" if fact.code in NOT_THE_AGENTS else "failed"
            _end(entry, body_key(fact.task, fact.node, fact.attempt), state, fact.code, tx)
        elif isinstance(fact, NodeStopped):
            _end(entry, body_key(fact.task, fact.node, fact.attempt), "void", "", tx)
        elif isinstance(fact, RunStarted):
            tx.execute(
                "INSERT OR REPLACE INTO fitness_runs VALUES (?, ?, ?)",
                (entry.run, fact.principal.tenant, fact.workflow),
            )
        elif isinstance(fact, Noted) and fact.name == "forked":
            tx.execute("DELETE FROM fitness WHERE run = ?", (entry.run,))


def _add(entry: Entry, fact: EffectFinished, tx: Tx) -> None:
    key = body_of(fact)
    tokens = tokens_of(fact.usage or {}, "input_tokens", "output_tokens")
    model, deployment = (fact.name, fact.by) if fact.kind == "model" else ("", "")
    unpriced = fact.kind == "model" and tokens > 0 and not fact.cost
    tx.execute(
        "INSERT OR IGNORE INTO fitness SELECT ?1, ?2, tenant, workflow, ?3, '', '', 'open', '', 0, 0, 0, 0, 0 "
        "FROM fitness_runs WHERE run = ?1",
        (entry.run, key, fact.agent),
    )
    tx.execute(
        "UPDATE fitness SET model = coalesce(nullif(?1, ''), model), deployment = coalesce(nullif(?2, ''), deployment), "
        "ms = ms + ?3, cost = cost + ?4, unpriced = unpriced + ?5, tokens = tokens + ?6, used = ?7 "
        "WHERE run = ?8 AND key = ?9 AND agent = ?10",
        (model, deployment, fact.ms, to_pico(fact.cost), int(unpriced), tokens, entry.at, entry.run, key, fact.agent),
    )


def _end(entry: Entry, key: str, state: str, code: str, tx: Tx) -> None:
    tx.execute(
        "UPDATE fitness SET state = ?, code = ?, used = ? WHERE run = ? AND key = ? AND state = 'open'",
        (state, code, entry.at, entry.run, key),
    )


def body_of(fact: EffectFinished) -> str:
    """The body that an effect belongs to, ``0.2/work#1``: its key up to its first part."""
    head = f"{fact.task}/{fact.node}#"
    return head + fact.key[len(head) :].partition("/")[0]


class Tally(msgspec.Struct, kw_only=True):
    """Several bodies together; ``cost`` in picodollars, ``unpriced``: model calls whose price nobody knew, not in ``cost``."""

    ok: int = 0
    failed: int = 0
    ms: int = 0
    cost: int = 0
    unpriced: int = 0
    tokens: int = 0
    used: int = 0

    @property
    def bodies(self) -> int:
        return self.ok + self.failed

    def add(self, row: Mapping[str, Any]) -> None:
        """Count a row of ``fitness``; one that is open or void is passed over."""
        if row["state"] not in ("ok", "failed"):
            return
        self.ok += row["state"] == "ok"
        self.failed += row["state"] == "failed"
        self.ms += row["ms"]
        self.cost += row["cost"]
        self.unpriced += row["unpriced"]
        self.tokens += row["tokens"]
        self.used = max(self.used, row["used"])
