"""The projections that ship, and those of approvals, waits and artifacts. Facts in, rows out, through the port only."""

import hashlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, cast

from clew.core.codec import decode_payload
from clew.core.events import EffectFinished, EffectStarted, NodeCompleted, NodeStopped, RunFinished
from clew.core.identity import body_key
from clew.gate.ports.projection import Entry, Projection, Tx
from clew.stores.answers import AnswerIndex
from clew.stores.costs import Costs
from clew.stores.fitness import Fitness
from clew.stores.milestones import MilestoneList

_STATES = {"approve": "approved", "reject": "rejected"}
_CODES = {"expired": "expired", "timeout": "expired", "cancelled": "cancelled", "rejected": "rejected"}

_APPROVALS = (
    (
        "CREATE TABLE approvals (run TEXT NOT NULL, seq INTEGER NOT NULL, key TEXT NOT NULL, task TEXT NOT NULL, "
        "node TEXT NOT NULL, name TEXT NOT NULL, digest TEXT NOT NULL, asked INTEGER NOT NULL, due INTEGER, "
        "state TEXT NOT NULL, answered_at INTEGER, by TEXT NOT NULL DEFAULT '', why TEXT NOT NULL DEFAULT '')"
    ),
    "CREATE UNIQUE INDEX approvals_key ON approvals(run, key)",
    "CREATE INDEX approvals_open ON approvals(state) WHERE state = 'pending'",
)
_WAITS = (
    (
        "CREATE TABLE waits (run TEXT NOT NULL, seq INTEGER NOT NULL, key TEXT NOT NULL, kind TEXT NOT NULL, "
        "name TEXT NOT NULL, task TEXT NOT NULL, node TEXT NOT NULL, opened INTEGER NOT NULL, due INTEGER, "
        "state TEXT NOT NULL, ended INTEGER)"
    ),
    "CREATE UNIQUE INDEX waits_key ON waits(run, key)",
    "CREATE INDEX waits_open ON waits(due) WHERE state = 'open'",
)
_ARTIFACTS = (
    (
        "CREATE TABLE artifacts (run TEXT NOT NULL, seq INTEGER NOT NULL, task TEXT NOT NULL, node TEXT NOT NULL, "
        "kind TEXT NOT NULL, name TEXT NOT NULL, digest TEXT NOT NULL, size INTEGER NOT NULL)"
    ),
    "CREATE INDEX artifacts_run ON artifacts(run, task, node)",
    "CREATE INDEX artifacts_digest ON artifacts(digest)",
)


class Approvals:
    """What humans were asked. ``state``: pending, approved, rejected, answered (a question, not an approval), expired, cancelled.

    ``digest`` is that of the request that was shown; ``asked``, ``due`` and ``answered_at`` in ms since the epoch.
    """

    name = "approvals"
    version = 1
    lazy = False
    facts = (EffectStarted, EffectFinished, NodeStopped, RunFinished)
    tables: Mapping[str, tuple[str, ...]] = MappingProxyType({"approvals": _APPROVALS})

    def apply(self, entry: Entry, tx: Tx) -> None:
        fact = entry.fact
        if isinstance(fact, EffectStarted):
            if fact.wait and fact.kind == "human":
                tx.execute(
                    "INSERT OR REPLACE INTO approvals(run, seq, key, task, node, name, digest, asked, due, state) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'pending')",
                    (entry.run, entry.seq, fact.key, fact.task, fact.node, fact.name, fact.digest, entry.at, fact.due),
                )
        elif isinstance(fact, EffectFinished):
            if fact.kind == "human":
                state, by, why = _answer(fact, decode_payload(entry.body))
                tx.execute(
                    "UPDATE approvals SET state = ?, answered_at = ?, by = ?, why = ? WHERE run = ? AND key = ?",
                    (state, entry.at, by, why, entry.run, fact.key),
                )
        else:
            test, values = _ended(entry)
            tx.execute(f"UPDATE approvals SET state = 'cancelled' WHERE run = ? AND state = 'pending'{test}", values)  # noqa: S608


class Waits:
    """What runs wait for: humans, timers, child runs. ``state``: open, done, cancelled."""

    name = "waits"
    version = 1
    lazy = False
    facts = (EffectStarted, EffectFinished, NodeStopped, RunFinished)
    tables: Mapping[str, tuple[str, ...]] = MappingProxyType({"waits": _WAITS})

    def apply(self, entry: Entry, tx: Tx) -> None:
        fact = entry.fact
        if isinstance(fact, EffectStarted):
            if fact.wait:
                tx.execute(
                    "INSERT OR REPLACE INTO waits VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'open', NULL)",
                    (entry.run, entry.seq, fact.key, fact.kind, fact.name, fact.task, fact.node, entry.at, fact.due),
                )
        elif isinstance(fact, EffectFinished):
            if fact.kind in ("human", "timer", "child"):
                tx.execute(
                    "UPDATE waits SET state = 'done', ended = ? WHERE run = ? AND key = ?",
                    (entry.at, entry.run, fact.key),
                )
        else:
            test, values = _ended(entry)
            sql = f"UPDATE waits SET state = 'cancelled', ended = ? WHERE run = ? AND state = 'open'{test}"  # noqa: S608
            tx.execute(sql, (entry.at, *values))


class Artifacts:
    """Node outputs and tool results (W16). ``digest`` is the SHA-256 of the recorded payload, "" once it was erased;
    ``size`` in bytes. Lazy: nearly every event writes here, and nothing is decided on it."""

    name = "artifacts"
    version = 1
    lazy = True
    facts = (NodeCompleted, EffectFinished)
    tables: Mapping[str, tuple[str, ...]] = MappingProxyType({"artifacts": _ARTIFACTS})

    def apply(self, entry: Entry, tx: Tx) -> None:
        fact = entry.fact
        if isinstance(fact, NodeCompleted):
            kind, name = "node_output", fact.node
        elif isinstance(fact, EffectFinished) and fact.status == "ok" and fact.kind not in ("human", "timer", "child"):
            if fact.kind == "clock":
                return
            kind, name = f"{fact.kind}_result", fact.name
        else:
            return
        body = entry.body
        found = hashlib.sha256(body).hexdigest() if body else ""
        tx.execute(
            "INSERT INTO artifacts VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (entry.run, entry.seq, fact.task, fact.node, kind, name, found, len(body)),
        )


def shipped() -> tuple[Projection, ...]:
    """Every projection that a journal keeps."""
    return (Approvals(), Waits(), Costs(), Artifacts(), AnswerIndex(), Fitness(), MilestoneList())


def _answer(fact: EffectFinished, payload: Any) -> tuple[str, str, str]:
    """State, who and why of an answer; an erased answer keeps only what the fact says."""
    answer = _mapping(payload)
    output, error = _mapping(answer.get("output")), _mapping(answer.get("error"))
    by, why = str(output.get("by", "")), str(output.get("why", "") or error.get("message", ""))
    if fact.status == "denied":
        return "rejected", by, why
    if fact.status == "error":
        return _CODES.get(str(error.get("code", "")), "cancelled"), by, why
    return _STATES.get(str(output.get("decision", "")), "answered"), by, why


def _ended(entry: Entry) -> tuple[str, tuple[Any, ...]]:
    """Which waits of the run end without an answer: those of one body, or all."""
    fact = entry.fact
    if isinstance(fact, NodeStopped):
        prefix = body_key(fact.task, fact.node, fact.attempt) + "/"
        return " AND key >= ? AND key < ?", (entry.run, prefix, prefix[:-1] + "0")  # "0" follows "/"
    return "", (entry.run,)


def _mapping(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
