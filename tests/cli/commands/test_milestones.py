import pytest

from clew.cli.commands.milestones import MilestoneList
from clew.testing import write_project

PROJECT = """
workflow:
  id: plan
  nodes:
    - {id: start, kind: deterministic, role: start}
    - {id: work, kind: deterministic, role: linear, handler: "handlers:work", tools: [plan_milestones, mark_milestone]}
    - {id: done, kind: deterministic, role: exit}
  edges: [{from: start, to: work}, {from: work, to: done}]
tools: [{id: plan_milestones, type: builtin}, {id: mark_milestone, type: builtin}]
"""

HANDLERS = """
async def work(input, ctx):
    items = [
        {"id": "a", "title": "Draft", "due_in": "1ms"},
        {"id": "b", "title": "Review\\x1b[31m", "due_in": "9d"},
        {"id": "c", "title": "Send"},
        {"id": "d", "title": "Frame", "due_in": "9d"},
    ]
    await ctx.call("plan_milestones", {"goal": "A letter\\nto Ada", "milestones": items})
    await ctx.sleep("30ms")
    await ctx.call("mark_milestone", {"id": "a", "state": "done", "note": "api_key=sk-abcdefghijklmnopqrstuvwxyz012345"})
    await ctx.call("mark_milestone", {"id": "b", "state": "started"})
    await ctx.call("mark_milestone", {"id": "d", "state": "dropped"})
"""


@pytest.fixture
def planned(cli, tmp_path):
    return cli("run", write_project(tmp_path / "plan", PROJECT, HANDLERS), "--json").json()["run"]


def test_no_runs_and_no_milestones(cli, plain):
    assert cli("milestones").code == 2
    run = cli("run", plain, "--json").json()["run"]
    answer = cli("milestones")
    assert (answer.code, answer.out) == (0, "")
    assert f"run {run} planned no milestones" in answer.err


def test_what_was_planned_and_how_far_it_is(cli, planned):
    document = cli("milestones", planned, "--json").document(MilestoneList)
    assert (document.run, [one.id for one in document.milestones]) == (planned, ["a", "b", "c", "d"])
    a, b, c, d = document.milestones
    assert [one.state for one in document.milestones] == ["done", "started", "planned", "dropped"]
    assert [one.late for one in document.milestones] == [True, False, False, False]
    assert (a.node, a.ended is None, b.started is None, c.due, d.due is None) == ("work", False, False, None, False)
    assert "sk-abcdef" not in a.note


def test_for_people(cli, planned):
    shown = cli("milestones").out
    head, a, note, b, c, d = shown.splitlines()
    assert head == "A letter to Ada"
    assert "a  Draft  done" in a
    assert "late by" in a
    assert "sk-abcdef" not in note
    assert "started, due" in b
    assert "\x1b" not in shown
    assert c.endswith("c  Send  planned")
    assert "d  Frame  dropped" in d
