"""``clew artifacts``."""

import click
from rich.table import Table

from clew.cli import present, shapes
from clew.cli.command import command as declare
from clew.cli.command import run_argument
from clew.cli.opening import looking_back
from clew.cli.session import Session, pass_session
from clew.cli.terminal import Paper
from clew.service.engine import AsyncEngine


@declare(
    "artifacts",
    examples=[
        ("clew artifacts r6a0f", "everything, in order"),
        ("clew artifacts r6a0f --node work --kind node_output", "of one node"),
        ("clew show r6a0f --event 12", "the content of one, by its number"),
    ],
    shape=shapes.ArtifactList,
)
@run_argument
@click.option("--node", metavar="NODE", help="Only of this node.")
@click.option("--task", metavar="TASK", help="Only of this task.")
@click.option("--kind", metavar="KIND", help="Only of this kind: node_output, tool_result …")
@click.option("--limit", type=click.IntRange(1, 1_000_000), default=1000, show_default=True, help="At most so many.")
@pass_session
def command(session: Session, run: str | None, limit: int, **only: str | None) -> int:
    """List what a run's nodes and tools produced.

    Each is stored by the SHA-256 of its content; clew show RUN --event SEQ shows it.
    """

    async def work(engine: AsyncEngine) -> shapes.ArtifactList:
        name = await engine.find(run)
        where: dict[str, str | int] = {"run": name, **{k: v for k, v in only.items() if v}}
        rows = await engine.workspace.journal.rows("artifacts", where, limit)
        found = [
            shapes.ArtifactDoc(**{field: row[field] for field in shapes.ArtifactDoc.__struct_fields__})
            for row in sorted(rows, key=lambda r: r["seq"])
        ]
        return shapes.ArtifactList(run=name, artifacts=found)

    document = looking_back(session, work)
    if session.json:
        present.emit(session, document)
        return 0
    if not document.artifacts:
        session.say("nothing")
        return 0
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for name in ("event", "node", "task", "kind", "name", "bytes", "sha-256"):
        table.add_column(name, justify="right" if name in ("event", "bytes") else "left", no_wrap=True)
    for item in document.artifacts:
        digest = item.digest[:12] or "erased"
        table.add_row(str(item.seq), item.node, item.task, item.kind, item.name, f"{item.size:,}", digest)
    Paper().print(table)
    return 0
