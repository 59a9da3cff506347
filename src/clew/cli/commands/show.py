"""``clew show``."""

from typing import Any

import click

from clew.cli import present, shapes
from clew.cli.command import command as declare
from clew.cli.command import run_argument
from clew.cli.events import line_of
from clew.cli.opening import looking_back
from clew.cli.portrait import Portrait
from clew.cli.reasoning import ReasoningDoc, draw, reasoning
from clew.cli.session import Session, pass_session
from clew.cli.terminal import Paper, pretty
from clew.core.errors import UsageError
from clew.service.engine import AsyncEngine
from clew.service.inspect import Inspection


@declare(
    "show",
    examples=[
        ("clew show", "the newest run: what happened and why"),
        ("clew show r6a0f --node work --effects", "one node, with its inputs, outputs and effects"),
        ("clew show r6a0f --reasoning", "what the agents thought, did and saw, turn by turn"),
        ("clew show r6a0f --events", "the journal; --event 12 shows what event 12 holds"),
        ("clew show r6a0f --at 12", "the state after event 12"),
        ("clew show r6a0f --output --json", "the output alone"),
    ],
    shape=shapes.RunDoc | shapes.EventList | shapes.EventDoc | ReasoningDoc,
)
@run_argument
@click.option("--events", is_flag=True, help="The journal, one event a line.")
@click.option("--event", type=click.IntRange(1), metavar="SEQ", help="One event with what it holds.")
@click.option("--at", type=click.IntRange(1), metavar="SEQ", help="The run as it stood after this event.")
@click.option("--node", metavar="NODE", help="Only this node, in full.")
@click.option("--task", metavar="TASK", help="Only this task, in full.")
@click.option("--effects", is_flag=True, help="Effects under their nodes.")
@click.option("--reasoning", is_flag=True, help="What agents thought, did and saw.")
@click.option("--input", "which", flag_value="input", help="The run's input alone.")
@click.option("--output", "which", flag_value="output", help="The run's output alone.")
@click.option("--all", "everything", is_flag=True, help="Every task, however many are alike.")
@pass_session
def command(session: Session, run: str | None, events: bool, event: int | None, at: int | None, **options: Any) -> int:
    """Show a run: what happened, why, and its state at any event.

    Secrets are masked. With --json: the run, or with --events its events, with --event one of them, with --reasoning the agents'
    turns, with --input and --output the value alone.
    """
    if events or event:
        return _events(session, run, event, at)
    found: list[shapes.RunDoc] = []
    thoughts: list[ReasoningDoc] = []

    async def work(engine: AsyncEngine) -> Inspection:
        name = await engine.find(run)
        view = await engine.inspect(name, at)
        waiting = await engine.waiting(name) if at is None else []
        found.append(present.run_doc(engine.workspace, view, waiting))
        if options["reasoning"]:
            thoughts.append(reasoning(engine.workspace, view, options["node"], options["task"]))
        return view

    view = looking_back(session, work)
    document = _only(found[0], options["node"], options["task"])
    which: str | None = options["which"]
    if thoughts:
        present.emit(session, thoughts[0]) if session.json else draw(Paper(), thoughts[0])
    elif which:
        value = getattr(document, which)
        if session.json:
            present.emit(session, value)
        else:
            session.write("\n".join(pretty(value)) + "\n")
    elif session.json:
        present.emit(session, document)
    else:
        full = bool(options["node"] or options["task"])
        portrait = Portrait(session, Paper(), effects=options["effects"], full=full, everything=options["everything"])
        portrait.draw(document, view)
    return 0


def _only(document: shapes.RunDoc, node: str | None, task: str | None) -> shapes.RunDoc:
    if node is None and task is None:
        return document
    nodes = [n for n in document.nodes if node in (None, n.node) and task in (None, n.task)]
    tasks = [t for t in document.tasks if task in (None, t.id)]
    if (task is not None and not tasks) or not nodes:
        what = f"task {task}" if task is not None else f"node {node}"
        raise UsageError(f"run {document.run.run} has no {what} that was entered", hint="clew show lists them")
    return present.narrowed(document, nodes, tasks)


def _events(session: Session, run: str | None, event: int | None, at: int | None) -> int:
    async def work(engine: AsyncEngine) -> tuple[str, list[shapes.EventDoc]]:
        name = await engine.find(run)
        journal = engine.workspace.journal
        if event is None:
            records = await journal.read(name, 0, at)
        else:
            records = await journal.read(name, event - 1, event)
            if not records:
                last = (await journal.row(name)).head.seq
                raise UsageError(f"run {name} has events 1 to {last}, not {event}")
        return name, [present.event(engine.workspace, record, payload=event is not None) for record in records]

    name, documents = looking_back(session, work)
    if session.json:
        present.emit(session, documents[0] if event is not None else shapes.EventList(run=name, events=documents))
        return 0
    paper = Paper()
    for document in documents:
        line_of(paper, document)
    if event is not None:
        for row in pretty(documents[0].fact) + ([] if documents[0].erased else pretty(documents[0].payload)):
            paper.put(row, indent=8)
    return 0
