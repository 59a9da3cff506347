import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.agents.planner import TOOL, milestones_of, plan_call
from clew.gate.ports.model import ToolOffer
from clew.gate.ports.tool import ToolContext
from clew.gate.schema import Validator
from clew.policies.milestones import PLAN
from clew.tools.builtin import builtin

LIST = """Ship the parser:
- [ ] write the grammar
- [x] test it within 2 days
  * document it within 1 week
1. release
2) tell people
"""


def titles(goal):
    return [item["title"] for item in milestones_of(goal)]


@pytest.mark.parametrize(
    ("goal", "expected"),
    [
        (
            LIST,
            ["write the grammar", "test it within 2 days", "document it within 1 week", "release", "tell people"],
        ),
        ("Do:\nfirst this\n\nthat", ["first this", "that"]),
        ("read the file\nsum it up", ["read the file", "sum it up"]),
        ("Read the file, and then sum it up then send it.", ["Read the file", "sum it up", "send it"]),
        ("Read it; sum it up; send it", ["Read it", "sum it up", "send it"]),
        ("Make the build green again", ["Make the build green again"]),
        ("  One thing\n ", ["One thing"]),
        ("- only one item", ["- only one item"]),
        ("What happened then", ["What happened then"]),
        ("A paragraph " * 20 + "\nand another one", [" ".join(["A paragraph"] * 20) + " and another one"]),
    ],
)
def test_a_goal_is_split_where_it_splits_itself(goal, expected):
    assert titles(goal) == expected


def test_due_only_where_the_goal_says_so():
    due = [item.get("due_in") for item in milestones_of(LIST)]
    assert due == [None, "2d", "7d", None, None]
    assert milestones_of("done within 0 days") == [{"id": "m1", "title": "done within 0 days"}]
    assert milestones_of("answer within 90 Minutes")[0]["due_in"] == "90m"


def test_more_than_a_plan_takes():
    made = milestones_of("\n".join(f"- item {n}" for n in range(120)))
    assert (len(made), made[98]["title"], made[99]["title"]) == (100, "item 98", "the other 21 items of the goal")


@given(st.text(min_size=1, max_size=2000).filter(str.strip))
def test_every_goal_gives_a_plan_that_the_tool_takes(goal):
    call = plan_call([ToolOffer(name=TOOL)], {"goal": goal}, ())
    Validator(builtin(PLAN).spec.inputs).check(call.arguments)


async def test_the_tool_performs_it():
    call = plan_call([ToolOffer(name=TOOL)], {"text": LIST}, {"read_file"})
    assert (call.name, TOOL) == (PLAN, PLAN)
    planned = await builtin(PLAN).call(call.arguments, ToolContext(project_dir=None, root=None))
    assert [m["due_in_ms"] for m in planned["milestones"]] == [None, 172_800_000, 604_800_000, None, None]


@pytest.mark.parametrize(
    ("tools", "given_", "called"),
    [
        ([], {"goal": "g"}, ()),
        ([TOOL], {"goal": "g"}, {TOOL}),
        ([TOOL], {"goal": " "}, ()),
        ([TOOL], {"goal": 7}, ()),
        ([TOOL], {"goal": "g", "milestones": []}, ()),
        ([TOOL], [1], ()),
        ([TOOL], None, ()),
    ],
)
def test_nothing_to_plan(tools, given_, called):
    assert plan_call([ToolOffer(name=name) for name in tools], given_, called) is None


def test_a_goal_may_be_a_text_alone():
    assert plan_call([ToolOffer(name=TOOL)], "Win", ()).arguments["goal"] == "Win"
