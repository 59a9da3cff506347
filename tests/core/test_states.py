"""The tables: every cell moves, every absent cell is refused, nothing else assigns a state."""

from types import SimpleNamespace

import pytest

from clew.core.errors import IllegalMove
from clew.core.states import ENDED, NODE_MOVES, RUN_MOVES, TASK_MOVES, move_body, move_run, move_task

TABLES = {
    "run": (RUN_MOVES, move_run, "state"),
    "task": (TASK_MOVES, move_task, "state"),
    "body": (NODE_MOVES, move_body, "body"),
}


def cells():
    for name, (table, _, _) in TABLES.items():
        for (state, move), after in table.items():
            yield pytest.param(name, state, move, after, id=f"{name}-{state}-{move}")


def holes():
    for name, (table, _, _) in TABLES.items():
        states = {s for s, _ in table} | set(table.values())
        for state in sorted(states):
            for move in sorted({m for _, m in table} | {"nonsense"}):
                if (state, move) not in table:
                    yield name, state, move


@pytest.mark.parametrize(("table", "state", "move", "after"), list(cells()))
def test_every_cell_moves(table, state, move, after):
    _, mover, field = TABLES[table]
    thing = SimpleNamespace(id="x", **{field: state})
    mover(thing, move)
    assert getattr(thing, field) == after


def test_every_absent_cell_is_refused_and_changes_nothing():
    tried = 0
    for table, state, move in holes():
        _, mover, field = TABLES[table]
        thing = SimpleNamespace(id="x", **{field: state})
        with pytest.raises(IllegalMove, match=f"no '{move}' from '{state}'"):
            mover(thing, move)
        assert getattr(thing, field) == state
        tried += 1
    assert tried > 60


@pytest.mark.parametrize("table", ["run", "task"])
def test_nothing_leads_out_of_an_end(table):
    moves, _, _ = TABLES[table]
    assert not {state for state, _ in moves} & ENDED
    assert set(moves.values()) >= ENDED


def test_every_state_is_reached_from_the_first():
    for table, first in ((RUN_MOVES, "queued"), (TASK_MOVES, "queued"), (NODE_MOVES, "pending")):
        seen = {first}
        while more := {after for (state, _), after in table.items() if state in seen} - seen:
            seen |= more
        assert seen == {s for s, _ in table} | set(table.values())
