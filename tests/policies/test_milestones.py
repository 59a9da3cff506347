"""What may be planned and marked, by what is recorded."""

import pytest

from clew.core.events import EffectFinished, Event, NodeCompleted
from clew.gate.door import Door
from clew.gate.effect import Effect
from clew.gate.ports.tool import ToolContext
from clew.policies.milestones import MARK, PLAN, Mark, Milestones, Plan, Planned, change_of
from clew.testing import MemoryRecord
from clew.tools.builtin import builtin


class Tools:
    """The two tools, behind the gate."""

    async def perform(self, effect):
        if effect.name not in (PLAN, MARK):
            return "something else"
        return await builtin(effect.name).call(effect.request, ToolContext(project_dir=None, root=None))


class Planner:
    def __init__(self):
        interceptors = (Milestones(),)
        self.record = MemoryRecord(interceptors=interceptors)
        self.door = Door(self.record, interceptors, {"tool": Tools()})
        self.count = 0

    async def call(self, name, request):
        self.count += 1
        effect = Effect(
            key=f"0/plan#1/t{self.count}",
            kind="tool",
            name=name,
            request=request,
            task="0",
            node="plan",
            repeat_safe=True,
        )
        return await self.door.perform(effect)

    async def plan(self, *ids):
        return await self.call(PLAN, {"goal": "g", "milestones": [{"id": name, "title": name} for name in ids]})

    async def mark(self, name, state, **more):
        return await self.call(MARK, {"id": name, "state": state, **more})

    @property
    def states(self):
        return self.record.state("milestones")


@pytest.fixture
def planner():
    return Planner()


async def test_a_plan_grows_and_is_marked(planner):
    assert (await planner.plan("a", "b")).status == "ok"
    assert (await planner.mark("a", "started")).status == "ok"
    assert (await planner.mark("a", "done", note="seen")).output == {"id": "a", "state": "done", "note": "seen"}
    assert (await planner.plan("c")).status == "ok"
    assert (await planner.mark("c", "dropped")).status == "ok"
    assert planner.states == {"a": "done", "b": "planned", "c": "dropped"}


@pytest.mark.parametrize(
    ("name", "state", "code", "says"),
    [
        ("zz", "done", "unknown_milestone", "planned: a, b, c"),
        ("a", "started", "milestone_state", "started already"),
        ("b", "started", "milestone_ended", "done; that is final"),
        ("c", "done", "milestone_ended", "dropped; that is final"),
    ],
)
async def test_refuses_what_cannot_be(planner, name, state, code, says):
    await planner.plan("a", "b", "c")
    for known, first in (("a", "started"), ("b", "done"), ("c", "dropped")):
        await planner.mark(known, first)
    before = planner.states
    outcome = await planner.mark(name, state)
    assert (outcome.status, outcome.error["code"]) == ("error", code)
    assert says in outcome.error["message"]
    assert planner.states == before


async def test_refuses_an_id_that_was_planned(planner):
    await planner.plan("a", "b")
    outcome = await planner.plan("c", "b", "a")
    assert (outcome.error["code"], planner.states) == ("duplicate_milestone", {"a": "planned", "b": "planned"})
    assert "b, a" in outcome.error["message"]


async def test_nothing_planned(planner):
    assert "planned: none" in (await planner.mark("a", "done")).error["message"]


@pytest.mark.parametrize("request_", [{"milestones": 3}, {"milestones": [3, {}, {"id": 7}]}, {"goal": "g"}])
async def test_leaves_wrong_arguments_to_the_tool(planner, request_):
    await planner.plan("a")
    seen = []

    async def proceed(effect):
        seen.append(effect)

    effect = Effect(key="k", kind="tool", name=PLAN, request=request_, task="0", node="n")
    await Milestones().around(effect, type("C", (), {"state": lambda self, name: {"a": "planned"}})(), proceed)
    marked = Effect(key="k", kind="tool", name=MARK, request={"id": 1}, task="0", node="n")
    await Milestones().around(marked, type("C", (), {"state": lambda self, name: None})(), proceed)
    assert len(seen) == 2


async def test_other_effects_pass(planner):
    assert (await planner.call("other", {"id": "zz", "state": "done"})).output == "something else"
    assert planner.states is None


def finished(name, payload, **fields):
    kind = fields.pop("kind", "tool")
    return EffectFinished(key="0/n#1/1", kind=kind, name=name, digest="", task="0", node="n", **fields), payload


@pytest.mark.parametrize(
    ("fact", "payload"),
    [
        finished(PLAN, None),
        finished(PLAN, {"output": {"milestones": "x"}}),
        finished(PLAN, {"output": 7}),
        finished(MARK, {"output": {"id": "a", "state": "gone"}}),
        finished(PLAN, {"error": {}}, status="error"),
        finished(PLAN, {"output": {"goal": "g", "milestones": []}}, kind="model"),
    ],
)
def test_what_changes_nothing(fact, payload):
    assert change_of(fact, payload) is None
    assert Milestones().fold({"a": "planned"}, Event(fact, payload)) == {"a": "planned"}


def test_what_changes_something():
    fact, payload = finished(PLAN, {"output": {"goal": "g", "milestones": [{"id": "a", "title": "t", "due_in_ms": 5}]}})
    plan = change_of(fact, payload)
    assert plan == Plan(goal="g", milestones=(Planned(id="a", title="t", due_in_ms=5),))
    assert (plan.milestones[0].due(100), Planned(id="b", title="t").due(100)) == (105, None)
    assert Planned(id="b", title="t", due_in_ms=10**30).due(0) < 2**63
    assert change_of(*finished(MARK, {"output": {"id": "a", "state": "done"}})) == Mark(id="a", state="done")


def test_fold_is_pure_and_keeps_what_is_known():
    known = {"a": "done"}
    fact, payload = finished(
        PLAN, {"output": {"goal": "g", "milestones": [{"id": "a", "title": "t"}, {"id": "b", "title": "t"}]}}
    )
    assert Milestones().fold(known, Event(fact, payload)) == {"a": "done", "b": "planned"}
    fact, payload = finished(MARK, {"output": {"id": "a", "state": "started"}})
    assert Milestones().fold(known, Event(fact, payload)) == {"a": "done"}
    fact, payload = finished(MARK, {"output": {"id": "zz", "state": "done"}})
    assert Milestones().fold(known, Event(fact, payload)) == {"a": "done"}
    assert Milestones().fold(known, Event(NodeCompleted(task="0", node="n", attempt=1), 1)) == {"a": "done"}
    assert known == {"a": "done"}
