import pytest

from clew.core.errors import Failure
from clew.gate.ports.model import ModelRequest, ToolOffer, ToolResponse
from clew.models.offline.plan import answer_of, named, plan_of, progress

REQUEST = ModelRequest(model="m", messages=(), tools=(ToolOffer(name="look"), ToolOffer(name="count")))


def answered(*calls, values=(), errors=()):
    found = {}
    for i, call in enumerate(calls):
        bad = i in errors
        found[call.id] = ToolResponse(
            id=call.id, name=call.name, response=values[i] if i < len(values) else None, error=bad
        )
    return found


@pytest.mark.parametrize(
    ("declared", "where"),
    [
        ([], "parameters.offline"),
        ({"step": []}, "step"),
        ({"steps": [{"args": {}}]}, "steps"),
        ({"steps": [{"call": 1}]}, "call"),
        ({"rules": [{"any": "x", "answer": 1}]}, "any"),
        ({"rules": [{"any": ["x"]}]}, "answer"),
        ({"steps": [{"call": "x"}] * 101}, "100 steps"),
    ],
)
def test_a_wrong_plan_says_where(declared, where):
    with pytest.raises(Failure, match=where) as caught:
        plan_of(declared)
    assert caught.value.code == "invalid_request"


def test_steps_follow_one_another_and_see_what_came_before():
    plan = plan_of(
        {
            "steps": [
                {"call": "look", "args": {"at": "{{input.at}}"}},
                {"call": "count", "for_each": "{{results.look.names}}", "args": {"of": "{{item}}", "no": "{{index}}"}, "id": "all"},
            ],
            "answer": {"first": "{{results.all.0}}", "all": "{{results.all}}", "failed": "{{failures}}"},
        }
    )  # fmt: skip
    first = progress(plan, REQUEST, {"at": "src"}, {})
    assert [(c.name, c.arguments) for c in first.calls] == [("look", {"at": "src"})]
    seen = answered(*first.calls, values=[{"names": ["a", "b", "c"]}])
    second = progress(plan, REQUEST, {"at": "src"}, seen)
    assert [c.arguments for c in second.calls] == [{"of": "a", "no": 0}, {"of": "b", "no": 1}, {"of": "c", "no": 2}]
    assert len({c.id for c in second.calls}) == 3
    seen |= answered(*second.calls[:2], values=[1, "lost"], errors=[1])
    third = progress(plan, REQUEST, {"at": "src"}, seen)
    assert [c.arguments["of"] for c in third.calls] == ["c"]
    seen |= answered(*third.calls, values=[3])
    last = progress(plan, REQUEST, {"at": "src"}, seen)
    assert last.calls == ()
    assert answer_of(plan, last.scope) == {
        "first": 1,
        "all": [1, 3],
        "failed": [{"tool": "count", "error": "lost"}],
    }


def test_the_tool_may_come_from_a_recorded_plan():
    plan = plan_of(
        {"steps": [{"call": "{{item.tool}}", "for_each": "{{input.steps}}", "args": "{{item.args}}", "most": 2}]}
    )
    steps = [{"tool": "look", "args": {"a": 1}}, {"tool": "count", "args": {}}, {"tool": "rm", "args": {}}]
    done = progress(plan, REQUEST, {"steps": steps}, {})
    assert [(c.name, c.arguments) for c in done.calls] == [("look", {"a": 1}), ("count", {})]
    with pytest.raises(Failure, match=r"no tool 'rm' is offered \(tools: count, look\)"):
        progress(plan, REQUEST, {"steps": steps[2:]}, {})
    with pytest.raises(Failure, match="no tool"):
        progress(plan, REQUEST, {"steps": [{"tool": {"x": 1}, "args": {}}]}, {})


def test_a_step_over_nothing_is_skipped_and_over_no_list_refused():
    plan = plan_of({"steps": [{"call": "look", "for_each": "{{input.some?}}"}], "answer": "{{results.look}}"})
    done = progress(plan, REQUEST, {}, {})
    assert done.calls == ()
    with pytest.raises(Failure, match="no list"):
        progress(plan, REQUEST, {"some": "text"}, {})


def test_a_failed_step_has_no_result():
    plan = plan_of({"steps": [{"call": "look"}], "answer": "{{results.look.x}}"})
    calls = progress(plan, REQUEST, {}, {}).calls
    done = progress(plan, REQUEST, {}, answered(*calls, values=["no such file"], errors=[0]))
    assert done.scope["failures"] == [{"tool": "look", "error": "no such file"}]
    with pytest.raises(Failure, match=r"results\.look"):
        answer_of(plan, done.scope)


def test_the_first_rule_that_applies_answers():
    plan = plan_of(
        {
            "rules": [
                {"any": ["refund", "money back"], "answer": {"route": "billing"}},
                {"any": ["crash"], "answer": {"route": "bugs"}},
            ],
            "answer": {"route": "other"},
        }
    )

    def route(given):
        return answer_of(plan, progress(plan, REQUEST, given, {}).scope)["route"]

    assert route({"text": "I want my Money Back after the crash"}) == "billing"
    assert route({"a": [{"text": "a CRASH!"}]}) == "bugs"
    assert route({"refund": "crashed"}) == "other"


def test_named_means_whole_words():
    assert named("C++", "in c++ and go")
    assert not named("go", "gopher, ago")
    assert not named("", "anything")
