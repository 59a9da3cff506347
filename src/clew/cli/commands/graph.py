"""``clew graph``."""

from pathlib import Path

import click

from clew.cli import present, shapes
from clew.cli.command import command as declare
from clew.cli.session import Session, pass_session
from clew.core.scopes import analyse
from clew.manifest.draw import mermaid, text
from clew.manifest.plan import load
from clew.service.wiring import start_of


@declare(
    "graph",
    examples=[
        ("clew graph .", "the workflow, with the scope of each merge"),
        ("clew graph . --format mermaid > workflow.mmd", "for a drawing"),
    ],
    shape=shapes.GraphDoc,
)
@click.argument("project", default=".", type=click.Path(path_type=Path))
@click.option(
    "--format", "kind", type=click.Choice(["text", "mermaid"]), default="text", show_default=True, help="How to draw."
)
@click.option("--start", metavar="NODE", help="The start to draw from; else the default one.")
@pass_session
def command(session: Session, project: Path, kind: str, start: str | None) -> int:
    """Draw a project's workflow as text or Mermaid."""
    plan = load(project)
    begin = start_of(plan, start)
    drawing = (mermaid if kind == "mermaid" else text)(plan, begin)
    if not session.json:
        session.write(drawing)
        return 0
    scopes = analyse(plan.graph, begin)
    reachable = set(scopes.reachable)
    nodes = [
        shapes.GraphNode(
            id=node.id,
            kind=node.kind,
            role=node.role,
            handler=plan.nodes[node.id].handler or "",
            agent=plan.nodes[node.id].agent or "",
            scope=(scopes.scope[node.id] or "") if node.role == "merge" and node.id in reachable else None,
            reachable=node.id in reachable,
        )
        for node in plan.graph.nodes
    ]
    edges = [
        shapes.GraphEdge(source=e.source, target=e.target, label=e.label or "", on_failure=e.on_failure)
        for e in plan.graph.edges
    ]
    document = shapes.GraphDoc(
        workflow=plan.workflow, start=begin, digest=plan.digest, nodes=nodes, edges=edges, drawing=drawing
    )
    present.emit(session, document)
    return 0
