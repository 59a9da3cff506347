"""``clew pin``."""

import asyncio
from pathlib import Path

import click
from rich.table import Table

from clew.cli import present, shapes
from clew.cli.command import command as declare
from clew.cli.session import Session, pass_session
from clew.cli.terminal import Paper
from clew.service.pin import pin


@declare("pin", examples=[("clew pin .", "after adding a server, or to accept a change")], shape=shapes.PinDoc)
@click.argument("project", default=".", type=click.Path(path_type=Path))
@pass_session
def command(session: Session, project: Path) -> int:
    """Ask a project's MCP servers what their tools are like, and hold them to it.

    Starts each server and writes what it says of the tools that the project takes into mcp.lock: look at that file as at any
    change of code, for models are told what stands there. A tool that is not as it was pinned is not called.
    """
    pinned = asyncio.run(pin(project))
    document = shapes.PinDoc(
        tools=[shapes.PinLine(id=tool.id, was=tool.was, description=tool.description) for tool in pinned.tools],
        further=pinned.further,
    )
    if session.json:
        present.emit(session, document)
        return 0
    if not pinned.tools:
        session.say("no tool of the project needs it")
        return 0
    paper = Paper()
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    for tool in pinned.tools:
        table.add_row(tool.id, "" if tool.was == "same" else tool.was, " ".join(tool.description.split())[:100])
    paper.print(table)
    for entry, names in pinned.further.items():
        if names:
            session.say(f"{entry}: its server offers further {', '.join(names)}")
    return 0
