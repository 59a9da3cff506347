"""One event on one line: its number, time, type, and what it is about."""

from collections.abc import Iterable

from rich.text import Text

from clew.cli import shapes
from clew.cli.failures import printable
from clew.cli.terminal import Paper, brief, clock, duration

_STYLES = {
    "RunStarted": "bold",
    "RunFinished": "bold",
    "NodeCompleted": "green",
    "NodeFailed": "red",
    "EffectStarted": "cyan",
    "EffectFinished": "cyan",
    "RunPaused": "magenta",
    "StopRequested": "yellow",
    "PayloadsErased": "yellow",
}
_SAID = {
    "task",
    "node",
    "key",
    "digest",
    "attempt",
    "entry",
    "run",
    "plan",
    "kind",
    "name",
    "ms",
    "principal",
    "seed",
    "core",
}


def line_of(paper: Paper, event: shapes.EventDoc, *, payload: bool = False) -> None:
    """Print the event; ``payload`` adds its content, cut, on a line of its own."""
    text = Text(overflow="ellipsis", no_wrap=True)
    text.append(f"{event.seq:>6}  ", "dim").append(f"{clock(event.at)}  ", "dim")
    text.append(f"{event.type:<14}  ", _STYLES.get(event.type, ""))
    text.append(printable("  ".join(_words(event))))
    paper.print(text, soft_wrap=not paper.tty)
    if payload and event.payload is not None:
        paper.put((brief(event.payload, 1000), "dim"), indent=8)
    if event.erased:
        paper.put(("its content was erased", "yellow"), indent=8)


def _words(event: shapes.EventDoc) -> Iterable[str]:
    fact = event.fact
    if event.key:
        yield f"{fact.get('kind', '')} {fact.get('name', '')}".strip()
        yield event.key
    elif event.task:
        attempt = fact.get("attempt", 1)
        yield f"{event.node} {event.task}" + (f" #{attempt}" if attempt != 1 else "")
        if fact.get("entry", 1) != 1:
            yield f"entered again ({fact['entry']})"
    if fact.get("ms"):
        yield duration(fact["ms"])
    for name, value in fact.items():
        if name not in _SAID and value not in ("", None, False, [], {}):
            yield f"{name}={value}" if isinstance(value, str | int | float) else f"{name}={brief(value, 60)}"
