"""``clew context graph``: facts and walks, with the times at which they hold."""

import re
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from clew.agents.extraction import day
from clew.cli.command import command as declare
from clew.cli.failures import printable
from clew.cli.remembering import here, scope_option
from clew.cli.session import Session, pass_session
from clew.cli.telling import answer
from clew.cli.terminal import plural
from clew.context.graph.facts import FOREVER, Fact
from clew.context.graph.walk import MOST_HOPS, Path, When
from clew.core.errors import UsageError
from clew.service.remembered import GraphAnswer

_EPOCH = datetime.fromtimestamp(0, UTC)
_MS = re.compile(r"-[0-9]{1,19}|[0-9]{1,3}|[0-9]{5,19}")
"""Four digits are a year."""


@declare(
    "graph",
    examples=[
        ("clew context graph Engine", "what is stated of it"),
        ("clew context graph 'Ann Lee' --valid-at 2024-05", "what is said to hold then"),
        ("clew context graph Engine --to sqlite3 --hops 4", "how the two hang together"),
    ],
    shape=GraphAnswer,
)
@click.argument("entity")
@click.option("--to", "goal", metavar="ENTITY", help="Walks to this entity.")
@click.option("--hops", type=click.IntRange(1, MOST_HOPS), help="Facts of a walk at most (1; with --to 3).")
@click.option("--valid-at", metavar="TIME", help="Facts that hold then (default: whenever they hold).")
@click.option("--known-at", metavar="TIME", help="As it was known then (default: now).")
@scope_option
@pass_session
def graph(session: Session, entity: str, goal: str | None, hops: int | None, **options: Any) -> int:
    """Show the facts around an entity, or the walks from it to others.

    A TIME is 2024, 2024-05, 2024-05-01 or 2024-05-01T12:30, of UTC unless it says otherwise, or milliseconds since 1970. Facts
    that do not hold now are shown, and marked.
    """
    steps = hops or (3 if goal is not None else 1)
    when = When(
        valid_at=moment(options["valid_at"], "--valid-at"), known_at=moment(options["known_at"], "--known-at")
    )  # fmt: skip
    with here(session, options) as scoped:
        found = scoped.graph(entity, goal, steps, when)
    now = round(time.time() * 1000) if when.valid_at is None else when.valid_at
    lines = [_fact(one, now) for one in found.facts] + [_walk(one, now) for one in found.paths]
    return answer(session, found, printable("\n".join(lines) or _nothing(found, goal, steps, when)), out=True)


def moment(text: str | None, option: str) -> int | None:
    """Ms since the epoch. Raises UsageError."""
    if text is None:
        return None
    found = int(text) if _MS.fullmatch(text) else day(text)
    if found is None or abs(found) >= FOREVER:
        raise UsageError(f"{option} {text!r:.60} is no time", hint="such as 2024-05-01 or 2024-05-01T12:30")
    return found


def _said(ms: int) -> str:
    """A moment as a day, with the time where it is none's begin; UTC."""
    try:
        found = _EPOCH + timedelta(milliseconds=ms)
    except OverflowError:
        return f"{ms:,} ms"
    begins = ms % 86_400_000 == 0
    return found.date().isoformat() if begins else f"{found.replace(tzinfo=None).isoformat(' ', 'seconds')} UTC"


def _fact(fact: Fact, now: int) -> str:
    about = [fact.document, *([f"read by {fact.by}"] if fact.by else []), *_holds(fact, now)]
    if fact.confidence < 1:
        about.append(f"confidence {fact.confidence:g}")
    return f"{fact.subject}  {fact.relation}  {fact.object}   [{', '.join(about)}]"


def _walk(path: Path, now: int) -> str:
    told = [path.entities[0]]
    for fact, entity in zip(path.facts, path.entities[1:], strict=True):
        relation = ", ".join((fact.relation, *_holds(fact, now)))
        told.append(f"-{relation}-> {entity}" if fact.object == entity else f"<-{relation}- {entity}")
    about = [fact.document for fact in path.facts]
    if path.confidence < 1:
        about.append(f"confidence {path.confidence:g}")
    return "  ".join(told) + f"   [{', '.join(about)}]"


def _holds(fact: Fact, now: int) -> list[str]:
    """When it holds, and whether that is ``now``; until when it was stated, where it is no more."""
    begin, end, told = fact.valid_from, fact.valid_to, list[str]()
    if begin is not None and end is not None:
        told.append(f"{_said(begin)} to {_said(end)}")
    elif begin is not None:
        told.append(f"since {_said(begin)}")
    elif end is not None:
        told.append(f"until {_said(end)}")
    if end is not None and end <= now:
        told.append("over")
    if begin is not None and begin > now:
        told.append("not yet")
    return told if fact.until is None else [*told, f"stated until {_said(fact.until)}"]


def _nothing(found: GraphAnswer, goal: str | None, steps: int, when: When) -> str:
    """Why there is nothing to show, and what might show something."""
    if goal is not None:
        further = f": --hops {steps + 1} looks further" if steps < MOST_HOPS else ", and that is the most"
        return f"nothing leads there in {plural(steps, 'fact')} or less{further}"
    if when != When():
        return "nothing is known of it for that time"
    last = _said(found.closed_at or 0)
    return f"nothing is stated of it now; {plural(found.closed, 'fact')} were, the last until {last}: --known-at shows them"
