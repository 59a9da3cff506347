"""From what services return to the documents of ``shapes``, with secrets masked."""

from collections.abc import Sequence
from typing import Any, cast

import msgspec

from clew.cli import shapes
from clew.cli.session import Session
from clew.core.states import ENDED
from clew.gate.ports.journal import Record, RunRow
from clew.service.inspect import EffectView, Inspection, NodeView
from clew.service.runs import RunResult, Waiting
from clew.service.wiring import Workspace


def emit(session: Session, document: Any) -> None:
    """The one JSON document of a command."""
    session.write(document_text(document))


def document_text(document: Any) -> str:
    """A document as text, for a file or stdout."""
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"


def emit_line(session: Session, document: Any) -> None:
    """One document of a command that answers line by line."""
    session.write(msgspec.json.encode(document).decode() + "\n")


def request_of(waiting: Waiting) -> dict[str, Any]:
    """What was asked, as it was recorded; empty where it was erased."""
    request: object = waiting.request
    return cast("dict[str, Any]", request) if isinstance(request, dict) else {}


def question(workspace: Workspace, waiting: Waiting) -> shapes.Question:
    request = request_of(waiting)
    return shapes.Question(
        run=waiting.run,
        key=waiting.key,
        task=waiting.task,
        node=waiting.node,
        kind=waiting.name,
        question=str(workspace.redactor.value(request.get("question") or "")),
        arguments=workspace.redactor.value(request.get("args")),
        schema=request.get("schema"),
        editable=bool(request.get("editable")),
        approvers=[str(a) for a in cast("list[Any]", request.get("approvers") or [])],
        digest=waiting.digest,
        due=waiting.due,
    )


def outcome(workspace: Workspace, row: RunRow, result: RunResult, paused: str = "") -> shapes.Outcome:
    """How a run stands. ``paused``: where, as the host or its journal says."""
    mask = workspace.redactor.value
    return shapes.Outcome(
        run=row.run,
        workflow=row.workflow,
        state=result.state,
        status=result.status,
        output=mask(result.output),
        error=mask(result.error),
        cost=result.cost,
        unpriced=result.unpriced,
        duration_ms=row.updated - row.created,
        events=row.head.seq,
        paused=paused,
        driven=bool(row.owner),
        waiting=[question(workspace, w) for w in result.waiting],
    )


def run_line(row: RunRow) -> shapes.RunLine:
    return shapes.RunLine(
        run=row.run,
        workflow=row.workflow,
        state=row.state,
        status=row.status,
        created=row.created,
        updated=row.updated,
        events=row.head.seq,
        head=row.head.hash,
        cost=row.cost,
        driven=bool(row.owner) and row.state not in ENDED,
        parent=row.parent,
        fork_of=row.fork_of,
        tenant=row.tenant,
        user=row.user,
    )


def event(workspace: Workspace, record: Record, *, payload: bool = False) -> shapes.EventDoc:
    fact = record.event.fact
    said = cast("dict[str, Any]", msgspec.to_builtins(fact))
    kind = str(said.pop("type"))
    return shapes.EventDoc(
        seq=record.seq,
        at=record.event.at,
        type=kind,
        task=str(said.get("task", "")),
        node=str(said.get("node", "")),
        key=str(said.get("key", "")),
        hash=record.hash,
        fact=workspace.redactor.value(said),
        erased=record.erased,
        payload=workspace.redactor.value(record.event.payload) if payload else msgspec.UNSET,
    )


def run_doc(workspace: Workspace, view: Inspection, waiting: Sequence[Waiting]) -> shapes.RunDoc:
    mask = workspace.redactor.value
    return shapes.RunDoc(
        run=run_line(view.run),
        at=view.at,
        start=view.start,
        mode=view.mode,
        plan=view.run.plan,
        engine=view.origin.engine,
        seed=view.origin.seed,
        forked_at=view.origin.fork_of.seq if view.origin.fork_of else None,
        paused=view.paused,
        input=mask(view.input),
        output=mask(view.output),
        error=mask(view.error),
        nodes=[node(workspace, n) for n in view.nodes],
        tasks=[task(t) for t in view.tasks],
        waiting=[question(workspace, w) for w in waiting],
    )


def node(workspace: Workspace, view: NodeView) -> shapes.NodeDoc:
    mask = workspace.redactor.value
    return shapes.NodeDoc(
        seq=view.seq,
        task=view.task,
        node=view.node,
        role=view.role,
        attempt=view.attempt,
        entries=view.entries,
        state=view.state,
        started=view.started,
        ended=view.ended,
        input=mask(view.input),
        output=mask(view.output),
        error=mask(view.error),
        route=view.route,
        effects=[effect(workspace, e) for e in view.effects],
    )


def effect(workspace: Workspace, view: EffectView) -> shapes.EffectDoc:
    mask = workspace.redactor.value
    return shapes.EffectDoc(
        seq=view.seq,
        key=view.key,
        kind=view.kind,
        name=view.name,
        status=view.status,
        duration_ms=view.ms,
        cost=view.cost,
        agent=view.agent,
        by=view.by,
        request=mask(view.request),
        output=mask(view.output),
        error=mask(view.error),
        notes=mask(view.notes or None),
    )


def task(view: dict[str, Any]) -> shapes.TaskDoc:
    return shapes.TaskDoc(
        id=view["id"],
        state=view["state"],
        status=view["status"],
        node=view["node"],
        attempt=view["attempt"],
        lineage=list(view["lineage"]),
        merged_into=view["merged_into"],
        waits=list(view["waits"]),
    )


def narrowed(document: shapes.RunDoc, nodes: list[shapes.NodeDoc], tasks: list[shapes.TaskDoc]) -> shapes.RunDoc:
    """The same run with these nodes and tasks only."""
    return msgspec.structs.replace(document, nodes=nodes, tasks=tasks)
