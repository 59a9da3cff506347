"""``clew diff``."""

from typing import Any, cast

import click
import msgspec

from clew.cli import present
from clew.cli.command import command as declare
from clew.cli.opening import looking_back
from clew.cli.session import Session, pass_session
from clew.cli.terminal import Paper, brief, plural
from clew.core.errors import UsageError
from clew.service.diff import Item, Place, RunDiff
from clew.service.diff import diff as compare_runs
from clew.service.engine import AsyncEngine

_SHOWN = 60
"""Items of one kind that are shown."""


@declare(
    "diff",
    examples=[
        ("clew diff r6a0f", "a fork with the run it was forked from"),
        ("clew diff r6a0f r6a1c", "any two runs"),
        ("clew diff r6a0f r6a1c --exit-code", "exit code 1 when they differ"),
    ],
    shape=RunDiff,
)
@click.argument("a", metavar="RUN")
@click.argument("b", required=False, metavar="[RUN]")
@click.option("--exit-code", is_flag=True, help="Exit code 1 when the runs differ.")
@pass_session
def command(session: Session, a: str, b: str | None, exit_code: bool) -> int:
    """Compare two runs, such as a run and its fork.

    Manifests, input, output, status, cost, then tasks, nodes and effects by name. Times do not count. With one RUN, which must
    be a fork: its parent and itself.
    """

    async def work(engine: AsyncEngine) -> RunDiff:
        first = await engine.find(a)
        if b is not None:
            return await compare_runs(engine.workspace, first, await engine.find(b))
        row = await engine.workspace.journal.row(first)
        if not row.fork_of:
            raise UsageError(f"run {first} is no fork; name two runs")
        return await compare_runs(engine.workspace, row.fork_of, first)

    async def masked(engine: AsyncEngine) -> RunDiff:
        found = await work(engine)
        mask = engine.workspace.redactor.value
        items = tuple(msgspec.structs.replace(i, places=_masked(i.places, mask)) for i in found.items)
        return msgspec.structs.replace(found, run=_masked(found.run, mask), items=items)

    found = looking_back(session, masked)
    if session.json:
        present.emit(session, found)
    else:
        _print(found)
    return 1 if exit_code and not found.same else 0


def _masked(places: tuple[Place, ...], mask: Any) -> tuple[Place, ...]:
    return tuple(msgspec.structs.replace(p, a=_hidden(p.path, p.a, mask), b=_hidden(p.path, p.b, mask)) for p in places)


def _hidden(path: str, value: Any, mask: Any) -> Any:
    """The value masked as part of what it lies in, so that the names of the fields around it count."""
    if value is msgspec.UNSET:
        return value
    names = path.split(".") if path else []
    whole = value
    for name in reversed(names):
        whole = {name: whole}
    whole = mask(whole)
    for _ in names:
        if not isinstance(whole, dict):
            break
        whole = next(iter(cast("dict[str, Any]", whole).values()))
    return whole


def _print(found: RunDiff) -> None:
    paper = Paper()
    paper.put(("a ", "red"), found.a)
    paper.put(("b ", "green"), found.b)
    if found.common:
        paper.put((f"they share the first {plural(found.common, 'event')}", "dim"))
    if found.same:
        paper.put(paper.glyph("success"), " no difference")
        return
    if found.manifests:
        paper.put(("manifests", "bold"))
        for line in found.manifests[:_SHOWN]:
            paper.put(line, indent=2)
    if found.run:
        paper.put(("run", "bold"))
        _places(paper, found.run)
    for kind in ("task", "node", "effect"):
        items = [item for item in found.items if item.kind == kind]
        if items:
            paper.put((f"{kind}s", "bold"))
            for item in items[:_SHOWN]:
                _item(paper, item)
            if len(items) > _SHOWN:
                paper.put((f"and {len(items) - _SHOWN:,} more", "dim"), indent=2)


def _item(paper: Paper, item: Item) -> None:
    if item.in_ == "both":
        paper.put(item.name, indent=2)
        _places(paper, item.places, 4)
    else:
        paper.put(("- " if item.in_ == "a" else "+ ", "red" if item.in_ == "a" else "green"), item.name, indent=2)


def _places(paper: Paper, places: tuple[Place, ...], indent: int = 2) -> None:
    for place in places:
        sides = ["nothing" if v is msgspec.UNSET else brief(v, 120) for v in (place.a, place.b)]
        paper.put(
            f"{place.path or 'value'}: ",
            (sides[0], "red"),
            f" {paper.sign('→', '->')} ",
            (sides[1], "green"),
            indent=indent,
        )
