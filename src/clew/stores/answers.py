"""Answers of models as the journal holds them: an index of facts, and the reader behind the port ``gate.ports.answers``."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from clew.core.events import EffectFinished, RunStarted
from clew.gate.ports.answers import Recorded
from clew.gate.ports.journal import Journal
from clew.gate.ports.projection import Entry, Tx

_RUNS = ("CREATE TABLE answer_runs (run TEXT NOT NULL PRIMARY KEY, tenant TEXT NOT NULL, plan TEXT NOT NULL)",)
_ANSWERS = (
    (
        "CREATE TABLE answers (run TEXT NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL, key TEXT NOT NULL, "
        "digest TEXT NOT NULL, by TEXT NOT NULL, tenant TEXT NOT NULL, plan TEXT NOT NULL)"
    ),
    "CREATE INDEX answers_digest ON answers(digest, tenant)",
    "CREATE INDEX answers_run ON answers(run)",
)

_MOST = 100
"""Answers to one request that are looked at, the last ones."""


class AnswerIndex:
    """Model effects that were performed here and answered. ``at`` in ms since the epoch.

    Only those whose usage is recorded: an answer from the cache has none, nor has what a fork took over from its parent
    (which somebody may have edited). Erased ones are not listed. Lazy: nobody reads it unless a model is cached.
    """

    name = "answers"
    version = 1
    lazy = True
    facts = (RunStarted, EffectFinished)
    tables: Mapping[str, tuple[str, ...]] = MappingProxyType({"answers": _ANSWERS, "answer_runs": _RUNS})

    def apply(self, entry: Entry, tx: Tx) -> None:
        fact = entry.fact
        if isinstance(fact, RunStarted):
            tx.execute("INSERT INTO answer_runs VALUES (?, ?, ?)", (entry.run, fact.principal.tenant, fact.plan))
        elif isinstance(fact, EffectFinished) and _answered(fact) and entry.body:
            values = (entry.run, entry.seq, entry.at, fact.key, fact.digest, fact.by, entry.run)
            tx.execute(
                "INSERT INTO answers SELECT ?, ?, ?, ?, ?, ?, tenant, plan FROM answer_runs WHERE run = ?", values
            )


def _answered(fact: EffectFinished) -> bool:
    return fact.kind == "model" and fact.status == "ok" and fact.usage is not None


class JournalAnswers:
    """The port ``Answers`` on a journal that keeps ``AnswerIndex``."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def candidates(self, tenant: str, digest: str) -> list[Recorded]:
        """See the port."""
        rows = await self._journal.rows("answers", {"digest": digest, "tenant": tenant}, _MOST, newest=True)
        rows.sort(key=lambda row: row["at"], reverse=True)
        return [Recorded(**{name: row[name] for name in Recorded.__struct_fields__}) for row in rows]

    async def output(self, recorded: Recorded) -> Any:
        """See the port."""
        found = await self._journal.read(recorded.run, recorded.seq - 1, recorded.seq)
        payload: dict[str, Any] = (found[0].event.payload if found else None) or {}
        return None if "performed" in payload else payload.get("output")
