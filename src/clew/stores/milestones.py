"""The projection ``milestones``: what a run's planner planned, and how far it is."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, cast

from clew.core.codec import decode_payload
from clew.core.events import EffectFinished, Noted
from clew.gate.ports.projection import Entry, Tx
from clew.policies.milestones import MARK, PLAN, Mark, Plan, change_of, may_become

LATE = "milestone_late"
"""Name of the note that says that an alert was given. Payload ``{"id": str, "due": int}``."""

_MILESTONES = (
    (
        "CREATE TABLE milestones (run TEXT NOT NULL, seq INTEGER NOT NULL, id TEXT NOT NULL, goal TEXT NOT NULL, "
        "title TEXT NOT NULL, done_when TEXT NOT NULL, due INTEGER, state TEXT NOT NULL, planned INTEGER NOT NULL, "
        "started INTEGER, ended INTEGER, note TEXT NOT NULL, task TEXT NOT NULL, node TEXT NOT NULL, "
        "agent TEXT NOT NULL, alerted INTEGER, key TEXT NOT NULL)"
    ),
    "CREATE UNIQUE INDEX milestones_id ON milestones(run, id)",
)


class MilestoneList:
    """One row per milestone. ``state``: planned, started, done, dropped; ``seq``: the event that planned it. ``due``, ``planned``,
    ``started``, ``ended`` (done or dropped) and ``alerted`` (found late) in ms since the epoch. Content: an erasure takes it."""

    name = "milestones"
    version = 2
    lazy = False
    facts = (EffectFinished, Noted)
    tables: Mapping[str, tuple[str, ...]] = MappingProxyType({"milestones": _MILESTONES})

    def apply(self, entry: Entry, tx: Tx) -> None:
        fact = entry.fact
        if isinstance(fact, Noted):
            if fact.name == LATE:
                noted: Any = decode_payload(entry.body)
                found = str(cast("dict[str, Any]", noted).get("id", "")) if isinstance(noted, dict) else ""
                tx.execute("UPDATE milestones SET alerted = ? WHERE run = ? AND id = ?", (entry.at, entry.run, found))
        elif isinstance(fact, EffectFinished) and fact.kind == "tool":
            change = change_of(fact, decode_payload(entry.body)) if fact.name in (PLAN, MARK) else None
            if isinstance(change, Plan):
                _plan(entry, fact, change, tx)
            elif isinstance(change, Mark):
                _mark(entry, change, tx)


def _plan(entry: Entry, fact: EffectFinished, plan: Plan, tx: Tx) -> None:
    # a key is recorded again only where a fork went another way than its parent: what was copied does not hold
    tx.execute("DELETE FROM milestones WHERE run = ? AND key = ?", (entry.run, fact.key))
    for one in plan.milestones:
        tx.execute(
            "INSERT OR IGNORE INTO milestones VALUES (?, ?, ?, ?, ?, ?, ?, 'planned', ?, NULL, NULL, '', ?, ?, ?, NULL, ?)",
            (entry.run, entry.seq, one.id, plan.goal, one.title, one.done_when, one.due(entry.at), entry.at,
             fact.task, fact.node, fact.agent, fact.key),
        )  # fmt: skip


def _mark(entry: Entry, mark: Mark, tx: Tx) -> None:
    found = tx.execute("SELECT state FROM milestones WHERE run = ? AND id = ?", (entry.run, mark.id)).fetchone()
    if found is None or not may_become(found[0], mark.state):
        return
    column = "started" if mark.state == "started" else "ended"
    tx.execute(
        f"UPDATE milestones SET state = ?, note = ?, {column} = ? WHERE run = ? AND id = ?",  # noqa: S608 - one of two names
        (mark.state, mark.note, entry.at, entry.run, mark.id),
    )
