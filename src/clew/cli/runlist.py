"""Runs as a table, with as many columns as there is room for."""

from rich.table import Table
from rich.text import Text

from clew.cli import shapes
from clew.cli.terminal import Paper, clock, duration, money

_RIGHT = ("took", "cost", "events")
_ROOM = {"notes": 100, "events": 84, "cost": 76, "started": 66, "took": 54}
"""Column -> the width of the terminal from which on it is shown."""


def print_runs(paper: Paper, rows: list[shapes.RunLine]) -> None:
    """Print one line a run, in the order given."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    names = [name for name in _cells(paper, rows[0]) if paper.width >= _ROOM.get(name, 0)]
    for name in names:
        header = "" if name in ("sign", "notes") else name
        width = max(len(row.run) for row in rows) if name == "run" else None
        table.add_column(
            header, justify="right" if name in _RIGHT else "left", no_wrap=True, overflow="ellipsis", min_width=width
        )
    for row in rows:
        cells = _cells(paper, row)
        table.add_row(*(cells[name] for name in names))
    paper.print(table)


def _cells(paper: Paper, row: shapes.RunLine) -> dict[str, Text]:
    state = (row.status if row.state == "completed" else row.state) or row.state
    notes: list[str] = []
    if row.state == "running":
        notes.append("driven" if row.driven else "not driven")
    if row.fork_of:
        notes.append(f"fork of {row.fork_of}")
    if row.parent:
        notes.append(f"child of {row.parent.partition(':')[0]}")
    return {
        "sign": paper.glyph(state),
        "run": Text(row.run),
        "workflow": Text(row.workflow, "bold"),
        "state": Text(state),
        "started": Text(clock(row.created)),
        "took": Text(duration(row.updated - row.created)),
        "cost": Text(money(row.cost)),
        "events": Text(f"{row.events:,}"),
        "notes": Text(", ".join(notes), "dim"),
    }
