import msgspec
import pytest

from clew.core.errors import NotFound
from clew.service.diff import MAX_PLACES, Place, diff, places

HANDLERS = """\
async def a(input, ctx):
    if input.get("fail"):
        raise ValueError("told")
    first = await ctx.effect("one", lambda: input["n"])
    if input.get("more"):
        await ctx.effect("two", lambda: 0)
    return {"sum": first}
"""


async def test_a_run_is_the_same_as_itself_and_as_its_repetition(solo):
    engine = solo(HANDLERS)
    one, two = (await engine.run({"n": 1})).run_id, (await engine.run({"n": 1})).run_id
    found = await diff(engine.workspace, one, two)
    assert found.same
    assert found.common == 0
    assert (await diff(engine.workspace, one, one)).same


async def test_what_differs_is_named_by_place(solo):
    engine = solo(HANDLERS)
    one, two = (await engine.run({"n": 1})).run_id, (await engine.run({"n": 2, "more": True})).run_id
    found = await diff(engine.workspace, one, two)
    assert not found.same
    assert {p.path: (p.a, p.b) for p in found.run} == {
        "input.n": (1, 2), "input.more": (msgspec.UNSET, True), "output.sum": (1, 2),
    }  # fmt: skip
    effects = {i.name.rpartition("/")[2]: i for i in found.items if i.kind == "effect"}
    assert [p.path for p in effects["1"].places] == ["output"]
    assert effects["2"].in_ == "b"
    assert found.manifests == ()


async def test_states_errors_and_tasks(solo):
    engine = solo(HANDLERS)
    one, two = (await engine.run({"n": 1})).run_id, (await engine.run({"n": 1, "fail": True})).run_id
    found = await diff(engine.workspace, one, two)
    assert {"state", "status", "output"} <= {p.path.partition(".")[0] for p in found.run}
    assert any(i.kind == "task" and i.in_ == "both" for i in found.items)
    assert any(i.kind == "node" and i.name == "0/done#1" and i.in_ == "a" for i in found.items)


async def test_a_fork_shares_its_beginning(solo):
    engine = solo(HANDLERS)
    parent = await engine.run({"n": 1})
    at = next(r.seq for r in parent.history if type(r.event.fact).__name__ == "EffectFinished")
    one = await engine.fork(parent.run_id, at, {"": 10})
    two = await engine.fork(parent.run_id, at, {"": 20})
    assert (await diff(engine.workspace, parent.run_id, one.run_id)).common == at
    assert (await diff(engine.workspace, one.run_id, parent.run_id)).common == at
    siblings = await diff(engine.workspace, one.run_id, two.run_id)
    assert siblings.common == at
    assert Place(path="output.sum", a=10, b=20) in siblings.run


async def test_unknown_runs(solo):
    engine = solo(HANDLERS)
    with pytest.raises(NotFound):
        await diff(engine.workspace, "r1", "r2")


def test_places():
    assert places({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}, 4]}) == [
        Place(path="a.1.b", a=2, b=3), Place(path="a.2", b=4),
    ]  # fmt: skip
    assert places(1, 1) == []
    assert places(1, True) == [Place(path="", a=1, b=True)]
    assert places(None, {}) == [Place(path="", a=None, b={})]
    many = {str(i): i for i in range(MAX_PLACES + 1)}
    assert places(many, {}) == [Place(path="", a=many, b={})]
