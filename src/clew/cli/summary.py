"""The block after a run in the foreground: how it stands, what it gave, what it asks, how to go on and how to look back."""

from collections.abc import Sequence

from clew.cli import shapes
from clew.cli.failures import FAILED, SUCCESS, WAITING
from clew.cli.session import Session
from clew.cli.terminal import Paper, brief, clock, duration, glimpse, money, pretty

_SHOWN = 14
"""Lines of an output or of arguments."""


def exit_code(outcome: shapes.Outcome) -> int:
    """0 for success and partial, 3 while a human is needed or it is paused, else 1. A run that goes on elsewhere is well."""
    if outcome.state in ("queued", "running", "waiting"):
        return SUCCESS if outcome.driven else WAITING
    return SUCCESS if outcome.status in ("success", "partial") else FAILED


def worst(codes: Sequence[int]) -> int:
    """Of several runs: wrong use before failure before waiting."""
    return next((code for code in (2, 1, 3) if code in codes), SUCCESS)


def print_outcome(session: Session, paper: Paper, outcome: shapes.Outcome) -> None:
    """The whole block, on stdout."""
    shown = "paused" if outcome.paused else "asks" if outcome.waiting else outcome.status or outcome.state
    word = {"asks": "waiting for a human", "paused": f"paused at {outcome.paused}"}.get(shown, shown)
    paper.put(
        paper.glyph(shown), " ", (outcome.workflow, "bold"), f"  {outcome.run}  ", word,
        (f"  {duration(outcome.duration_ms)}  {money(outcome.cost, outcome.unpriced)}  {outcome.events:,} events", "dim"),
    )  # fmt: skip
    if outcome.error:
        _print_error(paper, outcome.error)
    if outcome.output is not None:  # an exit that always fails still says what was found
        _print_value(paper, "output", outcome.output)
    for asked in outcome.waiting:
        print_question(session, paper, asked, alone=len(outcome.waiting) == 1)
    advice = _advice(session, outcome)
    width = max(len(label) for label, _ in advice)
    for label, line in advice:
        paper.command(f"{label:<{width}}  {line}", indent=2)


def _print_error(paper: Paper, error: object) -> None:
    if not isinstance(error, dict):
        _print_value(paper, "error", error)
        return
    paper.put(("error ", "red"), f"{error.get('code', '')}: {error.get('message', '')}", indent=2)  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
    if error.get("details") is not None:  # pyright: ignore[reportUnknownMemberType]
        paper.put(("details ", "dim"), brief(error["details"], 300), indent=2)


def _print_value(paper: Paper, label: str, value: object) -> None:
    rows = glimpse(value, _SHOWN)
    if len(rows) == 1:
        paper.put((f"{label} ", "dim"), rows[0], indent=2)
        return
    paper.put((label, "dim"), indent=2)
    for row in rows:
        paper.put(row, indent=4)


def print_question(session: Session, paper: Paper, asked: shapes.Question, *, alone: bool = False) -> None:
    """What is asked, with everything that is needed to decide, and the commands that answer."""
    paper.put()
    paper.put(paper.glyph("asks"), (f" {asked.node}", "bold"), (f"  task {asked.task}  {asked.key}", "dim"), indent=2)
    paper.put(asked.question or "It asks for agreement.", indent=4)
    if asked.kind != "ask" or asked.arguments is not None:
        _print_value_in(paper, "with", asked.arguments)
    if asked.schema is not None:
        paper.put(("answer fits " if asked.kind == "ask" else "edits fit ", "dim"), brief(asked.schema, 400), indent=4)
    if asked.approvers:
        paper.put(("asks ", "dim"), ", ".join(asked.approvers), indent=4)
    if asked.due is not None:
        paper.put(("until ", "dim"), clock(asked.due), indent=4)
    for line in answer_lines(session, asked, alone=alone):
        paper.command(line, indent=4)
    if asked.kind != "ask" and asked.editable:
        paper.put(("--value JSON or --edit changes what it goes on with", "dim"), indent=4)
    paper.put()


def _print_value_in(paper: Paper, label: str, value: object) -> None:
    rows = pretty(value, _SHOWN)
    paper.put((f"{label} ", "dim"), rows[0], indent=4)
    for row in rows[1:]:
        paper.put(row, indent=4 + len(label) + 1)


def answer_lines(session: Session, asked: shapes.Question, *, alone: bool) -> list[str]:
    """The exact commands, bound to the request that was shown."""
    bound = ("--digest", asked.digest[:12]) if alone else ("--key", asked.key, "--digest", asked.digest[:12])
    answer = " --value JSON" if asked.kind == "ask" else ""
    return [
        session.hint("approve", asked.run, *bound) + answer,
        session.hint("reject", asked.run, *bound, "--why") + " TEXT",
    ]


def _advice(session: Session, outcome: shapes.Outcome) -> list[tuple[str, str]]:
    advice = [("look back", session.hint("show", outcome.run))]
    if outcome.paused or (outcome.state in ("running", "waiting") and not outcome.waiting and not outcome.driven):
        advice.insert(0, ("go on", session.hint("resume", outcome.run)))
    if outcome.state == "failed":
        fork = session.hint("fork", outcome.run, "--at") + " SEQ --set path=value"
        advice.append(("try otherwise", fork))
    return advice
