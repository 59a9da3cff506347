"""The relations of a document, where an agent was asked to read it: its own, and of the rules' those that are certain."""

from collections.abc import Sequence
from typing import Any

from clew.context.graph.extract import MOST, extract
from clew.gate.ports.context import Extracted, Relation, Version

CERTAIN = 0.9
"""Confidence of what is read off a syntax tree or a link: no model does better."""


def stated(document: str, text: str, read: Extracted | None) -> tuple[Relation, ...]:
    """By rules alone where nothing was read."""
    by_rules = extract(document, text)
    if read is None or read.why:
        return by_rules
    known = {(one.subject, one.relation, one.object) for one in read.relations}
    certain = [
        one
        for one in by_rules
        if one.confidence >= CERTAIN and (one.subject, one.relation, one.object) not in known
    ]  # fmt: skip
    return (*certain, *read.relations)[:MOST]


def stays(live: Version | None, text: str, read: Extracted | None) -> bool:
    """Whether the relations of the same text are better than what there is now: an agent that read it before could not be asked
    now, or nobody reads and they came from elsewhere."""
    if live is None or live.text != text:
        return False
    if read is None:
        return live.relations != extract(live.id, live.text)
    return bool(read.why) and any(one.by for one in live.relations)


def restated(before: Version | None, document: str, text: str) -> tuple[Relation, ...]:
    """Of a text that was made of version ``before``: by rules, unless its relations came from elsewhere; those stay."""
    file = _file(before) if before is not None else ""
    if before is not None and (any(one.by for one in before.relations) if file else stays(before, before.text, None)):
        return before.relations
    return extract(file or document, text, file)


def _file(version: Version) -> str:
    """Path of the file that it is an imported piece of: rules read it there, in the file's name."""
    path = version.metadata.get("path")
    return path if isinstance(path, str) and "part" in version.metadata else ""


def told(read: Sequence[Extracted]) -> dict[str, Any]:
    """In the result of a put: who read what, or why not; and of what only the beginning was read."""
    shown: dict[str, dict[str, Any]] = {}
    for one in read:
        found = {"why": one.why, "code": one.code} if one.why else {"relations": len(one.relations)}
        part = {"read": one.read, "characters": one.characters} if one.read < one.characters else {}
        shown[one.id] = {"by": one.by, **found, **part}
    return {"extraction": shown} if shown else {}
