"""The loop over a gate: turns, tools, corrections, limits, the guard; entered again, it performs nothing twice (G4, G5, R2)."""

import time

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clew.agents import loop
from clew.core.errors import Failure, NonDeterminism, Suspended
from clew.gate.effect import Outcome, denied
from clew.gate.ports.model import ModelAnswer, Reasoning, Text, ToolCall
from clew.testing import ScriptedModel

call, cut = ScriptedModel.call, ScriptedModel.cut
ID = {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]}
NUMBER = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


async def fails(work, code):
    with pytest.raises(Failure) as caught:
        await work
    assert caught.value.code == code
    return caught.value


def replies(model, index=-1):
    """The tool's replies in a request, the last by default."""
    return [p for m in model.seen[index].messages if m.role == "tool" for p in m.parts]


# -- requests --------------------------------------------------------------------------------------------------------


async def test_a_seed_is_one_that_every_provider_takes(bench):
    model = bench.script("x")
    bench.seed = 2**47 + 2**31 + 7
    await bench.work("go")
    assert model.seen[0].parameters["seed"] == 7


async def test_a_request_says_all_that_the_agent_is(bench):
    model = bench.script({"n": 1})
    bench.tool_of("read", inputs=ID)
    output = await bench.work(
        {"q": 1}, schema=NUMBER, instructions="here", fallbacks=("b", "c"), parameters={"temperature": 0.5, "top_p": 1},
    )  # fmt: skip
    assert output == {"n": 1}
    (request,) = model.seen
    assert request.parameters == {"temperature": 0.5, "seed": 7, "top_p": 1}
    assert (request.model, request.fallbacks, request.schema) == ("m", ("b", "c"), NUMBER)
    assert [(t.name, t.description, t.parameters) for t in request.tools] == [("read", "does read", ID)]
    assert [m.role for m in request.messages] == ["system", "user"]


async def test_turns_and_calls_have_structural_keys(bench):
    bench.tool_of("read")
    bench.script([call("read", n=1), call("read", n=2)], call("read", n=3), "done")
    assert await bench.work() == "done"
    assert bench.keys == ["0/a#1/t1", "0/a#1/t1.c0", "0/a#1/t1.c1", "0/a#1/t2", "0/a#1/t2.c0", "0/a#1/t3"]


async def test_what_was_recorded_does_not_change_later(bench):
    bench.tool_of("read")
    bench.script(call("read"), "done")
    await bench.work()
    assert [len(e.payload["request"]["messages"]) for e in bench.record.events if e.fact.kind == "model"] == [1, 3]


async def test_thoughts_are_handed_back_as_they_were(bench):
    bench.tool_of("read")
    thought = Reasoning(content="hm", opaque={"signature": "s"})
    model = bench.script([thought, Text(content="I look."), call("read")], "done")
    await bench.work()
    said = model.seen[1].messages[1]
    assert (said.role, said.parts[0], said.parts[1]) == ("assistant", thought, Text(content="I look."))


async def test_a_model_that_fails_fails_the_body(bench):
    bench.script(Failure("no", code="rate_limited"))
    await fails(bench.work(), "rate_limited")


@pytest.mark.parametrize("output", ["text", None, {"text": 1}])
async def test_what_is_no_answer_of_a_model(bench, output):
    async def perform(request):
        return Outcome(output=output)

    await fails(loop.ask(perform, {"messages": []}), "bad_answer")


# -- tools -----------------------------------------------------------------------------------------------------------


async def test_results_and_failures_go_back(bench):
    bench.tool_of(
        "read",
        lambda a: Failure("gone", code="not_found", details={"id": a["id"]}) if a["id"] == "x" else {"got": a["id"]},
    )
    model = bench.script([call("read", id="1"), call("read", id="x")], "done")
    await bench.work()
    good, bad = replies(model)
    assert (good.response, good.error, good.id) == ({"got": "1"}, False, "call-1-0")
    assert (bad.response["error"]["code"], bad.error) == ("not_found", True)


async def test_arguments_are_checked_before_the_call(bench):
    bench.tool_of("read", inputs=ID)
    bad = ToolCall(id="9", name="read", arguments="not json")
    model = bench.script([call("read", id=5), call("nope"), bad, ToolCall(id="8", name="read", arguments=[1])], "done")
    await bench.work()
    assert bench.did == []
    assert bench.keys == ["0/a#1/t1", "0/a#1/t2"]
    errors = [r.response["error"] for r in replies(model)]
    assert [e["code"] for e in errors] == [
        "invalid_arguments",
        "unknown_tool",
        "invalid_arguments",
        "invalid_arguments",
    ]
    assert '$.id: 5 is not of type "string"' in errors[0]["message"]
    assert "there are: read" in errors[1]["message"]
    assert "read has failed 2 times" in errors[2]["advice"]


async def test_arguments_that_came_as_text_are_read_and_repaired(bench):
    bench.tool_of("read")
    texts = ['{"id": "1"}', "{'id': '2',}", "", '{"id": "3']
    model = bench.script([ToolCall(id=str(i), name="read", arguments=t) for i, t in enumerate(texts)], "done")
    await bench.work()
    assert bench.did == [("read", {"id": "1"}), ("read", {"id": "2"}), ("read", {})]
    assert [r.error for r in replies(model)] == [False, False, False, True]


async def test_what_changes_nothing_runs_together_and_the_rest_in_order(bench):
    bench.tool_of("read")
    bench.tool_of("write", mutates=True)
    bench.script(
        [call("read", n=1), call("read", n=2), call("write", n=3), call("write", n=4), call("read", n=5)], "done"
    )
    await bench.work()
    assert [a["n"] for _, a in bench.did] == [1, 2, 3, 4, 5]
    assert bench.most == 2


class Before:
    """An interceptor that is a function of the effect; None lets it pass."""

    name = "before"

    def __init__(self, function):
        self._function = function

    async def around(self, effect, call, proceed):
        outcome = self._function(effect) if effect.kind == "tool" else None
        return outcome or await proceed(effect)

    def fold(self, state, event):
        return state


async def test_a_wait_of_one_does_not_lose_the_others(bench):
    def ask(effect):
        if "ask" in effect.request:
            raise Suspended

    bench.tool_of("read")
    bench.tool_of("write", mutates=True)
    bench.script([call("read", ask=1), call("read", n=2), call("write", n=3)], "done")
    bench.again(Before(ask))
    with pytest.raises(Suspended):
        await bench.work()
    assert [a for _, a in bench.did] == [{"n": 2}]
    bench.again()
    assert await bench.work() == "done"
    assert [a for _, a in bench.did] == [{"n": 2}, {"ask": 1}, {"n": 3}]


async def test_a_denial_goes_back(bench):
    bench.tool_of("read")
    bench.again(Before(lambda effect: denied("denied", "not today")))
    model = bench.script(call("read"), "then not")
    assert await bench.work() == "then not"
    assert replies(model)[0].response["error"] == {"code": "denied", "message": "not today"}


async def test_a_call_in_doubt_fails_the_body(bench):
    bench.tool_of("write", mutates=True)
    bench.script(call("write"), "done")
    await bench.work()
    bench.record.forget_outcome("0/a#1/t2")
    bench.record.forget_outcome("0/a#1/t1.c0")
    bench.again().script("never said")
    await fails(bench.work(), "in_doubt")
    assert bench.did == [("write", {})]


async def test_too_many_calls_of_one_turn_are_not_performed(bench):
    bench.tool_of("read")
    model = bench.script([call("read", n=n) for n in range(40)], "done")
    await bench.work()
    assert len(bench.did) == loop.MOST_CALLS
    assert replies(model)[-1].response["error"]["code"] == "too_many_calls"


async def test_long_results_are_cut_for_the_model_and_whole_in_the_record(bench):
    bench.tool_of("read", "x" * 100_000)
    model = bench.script(call("read"), "done")
    await bench.work()
    assert len(replies(model)[0].response) < 31_000
    assert len(bench.record.finished("0/a#1/t1.c0").payload["output"]) == 100_000


# -- the guard -------------------------------------------------------------------------------------------------------


async def test_a_repeated_call_is_advised_then_ends_the_body(bench):
    bench.tool_of("read", "same")
    bench.tool_of("other")
    model = bench.script(*[call("read", id="1")] * 4)
    failure = await fails(bench.work(), "loop_detected")
    assert failure.details["tool"] == "read"
    assert len(bench.did) == 2
    assert replies(model)[-1].response["error"]["code"] == "repeated_call"
    assert "use another tool (other)" in replies(model)[-1].response["error"]["message"]


async def test_the_same_wrong_call_again_and_again_ends_the_body(bench):
    bench.tool_of("read", inputs=ID)
    model = bench.script(*[call("read", id=1)] * 5)
    await fails(bench.work(), "loop_detected")
    assert len(model.seen) == 4


async def test_unknown_tools_only_end_the_body(bench):
    model = bench.script(call("a"), call("b"), call("c"), "never")
    await fails(bench.work(), "loop_detected")
    assert len(model.seen) == 3


async def test_after_two_failures_another_way_is_advised(bench):
    bench.tool_of("read", lambda a: Failure(f"no {a['n']}"))
    bench.tool_of("search")
    model = bench.script(call("read", n=1), call("read", n=2), "done")
    await bench.work()
    first, second = replies(model)
    assert "advice" not in first.response["error"]
    assert "use another tool (search)" in second.response["error"]["advice"]


# -- limits ----------------------------------------------------------------------------------------------------------


async def test_at_the_last_step_no_tool_may_be_called(bench):
    bench.tool_of("read")
    model = bench.script(call("read"), "so be it")
    assert await bench.work(limits={"steps": 2}) == "so be it"
    assert [r.parameters.get("tool_choice") for r in model.seen] == [None, "none"]
    assert "last turn" in model.seen[1].messages[-1].parts[0].content
    assert "last turn" not in str(model.seen[0].messages)


async def test_a_call_at_the_last_step_is_not_performed(bench):
    bench.tool_of("write", mutates=True)
    bench.script(call("write", n=1), call("write", n=2))
    failure = await fails(bench.work(limits={"steps": 2}), "limit_steps")
    assert bench.did == [("write", {"n": 1})]
    assert "2 of 2 turns" in failure.message
    assert "asked for tools" in failure.message
    assert failure.details["steps"] == 2


async def test_without_tools_the_last_step_is_like_any_other(bench):
    model = bench.script("x")
    await bench.work(limits={"steps": 1})
    assert len(model.seen[0].messages) == 1


@pytest.mark.parametrize(
    ("limits", "code"),
    [({"tokens": 30}, "limit_tokens"), ({"cost": "0.02"}, "limit_cost"), ({"time_ms": 100}, "limit_time")],
)
async def test_limits_are_held_before_tools_are_called(bench, limits, code):
    bench.ms, bench.usage = 50, {"input_tokens": 10, "output_tokens": 5}
    bench.tool_of("write", mutates=True)
    bench.script(call("write", n=1), call("write", n=2), "never")
    failure = await fails(bench.work(limits=limits), code)
    assert len(bench.did) == 1
    assert failure.details == {"steps": 2, "tokens": 30, "cost": "0.02", "ms": 100}


async def test_an_answer_that_is_there_counts(bench):
    bench.usage = {"input_tokens": 1000, "output_tokens": 1000}
    bench.script("paid for")
    assert await bench.work(limits={"tokens": 10, "cost": "0.001"}) == "paid for"


@pytest.mark.parametrize(
    ("own", "most"), [({}, 100), ({"max_tokens": 40}, 40), ({"max_tokens": 400}, 100), ({"max_tokens": "x"}, 100)]
)
async def test_a_request_may_use_what_is_left(bench, own, most):
    bench.usage = {"input_tokens": 10, "output_tokens": 5}
    bench.tool_of("read")
    model = bench.script(call("read"), "done")
    await bench.work(limits={"tokens": 100}, parameters=own)
    assert [r.parameters["max_tokens"] for r in model.seen] == [most, min(most, 85)]


async def test_an_unknown_price_under_a_limit_of_cost_fails(bench):
    bench.cost = ""
    bench.script("cheap?")
    await fails(bench.work(limits={"cost": "1"}), "price_unknown")
    bench.again().script()
    assert await bench.work() == "cheap?"


# -- output ----------------------------------------------------------------------------------------------------------


async def test_a_wrong_output_is_corrected(bench):
    model = bench.script("no json", {"n": "x"}, '```json\n{"n": 3,}\n```')
    assert await bench.work(schema=NUMBER) == {"n": 3}
    assert [m.role for m in model.seen[2].messages] == ["system", "user", "assistant", "user", "assistant", "user"]
    assert 'is not of type "integer"' in model.seen[2].messages[-1].parts[0].content


@pytest.mark.parametrize("corrections", [0, 1, 3])
async def test_corrections_are_bounded(bench, corrections):
    model = bench.script(*["wrong"] * 9)
    await fails(bench.work(schema=NUMBER, corrections=corrections), "invalid_output")
    assert len(model.seen) == corrections + 1


async def test_steps_bound_corrections_too(bench):
    bench.script(*["wrong"] * 9)
    failure = await fails(bench.work(schema=NUMBER, limits={"steps": 2}), "limit_steps")
    assert "the answer holds no JSON" in failure.message


async def test_truncated_output_never_passes(bench):
    model = bench.script(cut('{"n": 1}'), cut('{"n": 1}'), {"n": 2})
    assert await bench.work(schema=NUMBER) == {"n": 2}
    assert "cut off" in model.seen[1].messages[-1].parts[0].content
    bench.script(*[cut("so")] * 9)
    bench.record = type(bench.record)()
    await fails(bench.again().work(), "truncated")


async def test_calls_of_a_cut_off_turn_are_not_performed(bench):
    bench.tool_of("read")
    half = ModelAnswer(parts=(Text(content="I"), ToolCall(id="1", name="read")), finish="length")
    model = bench.script(half, "done")
    assert await bench.work() == "done"
    assert bench.did == []
    assert [m.role for m in model.seen[1].messages] == ["user", "assistant", "user"]


async def test_a_refusal_fails_with_its_text(bench):
    bench.script(ScriptedModel.refusal("I will not."))
    assert (await fails(bench.work(schema=NUMBER), "refused")).details == {"text": "I will not."}


async def test_an_empty_answer_is_corrected(bench):
    model = bench.script("", "there")
    assert await bench.work() == "there"
    assert [m.role for m in model.seen[1].messages] == ["user", "user"]


async def test_a_decision_is_corrected_to_one_of_its_labels(bench):
    bench.script({"route": "up"}, {"route": "left"})
    assert await bench.work(schema={"type": "object"}, labels=("left", "right")) == {"route": "left"}


# -- entered again ---------------------------------------------------------------------------------------------------

BUSY = [
    [call("read", id="1"), call("read", id="2"), call("nope")],
    call("write", id="3"),
    cut("I th"),
    "not json",
    [call("read", id="4"), call("write", id="5")],
    {"n": 6},
]


def busy(bench):
    bench.tool_of("read", lambda a: {"got": a["id"]}, inputs=ID)
    bench.tool_of("write", lambda a: "ok", mutates=True, inputs=ID)


async def test_a_body_entered_again_anywhere_performs_nothing_twice(bench):
    busy(bench)
    bench.script(*BUSY)
    assert await bench.work(schema=NUMBER) == {"n": 6}
    whole, did = list(bench.record.events), list(bench.did)
    finished = [i for i, e in enumerate(whole, 1) if type(e.fact).__name__ == "EffectFinished"]
    for upto in [0, *finished]:
        again = type(bench)()
        busy(again)
        for event in whole[:upto]:
            await again.record.record(event)
        turns = sum(e.fact.kind == "model" for e in whole[:upto])
        said = [msgspec.convert(e.payload["output"], ModelAnswer) for e in whole if e.fact.kind == "model"]
        again.script(*said[turns:])
        assert await again.work(schema=NUMBER) == {"n": 6}
        assert again.keys == bench.keys
        performed = [
            (e.fact.name) for e in whole[:upto] if e.fact.kind == "tool" and type(e.fact).__name__ == "EffectFinished"
        ]
        assert again.did == did[len(performed) :]
        assert msgspec.json.encode([e.payload for e in again.record.events]) == msgspec.json.encode(
            [e.payload for e in whole]
        )


async def test_another_agent_than_was_recorded_is_noticed_and_told_to_nobody(bench):
    bench.tool_of("read")
    bench.script(call("read"), "done")
    await bench.work()
    bench.again().script("never")
    with pytest.raises(NonDeterminism):
        await bench.work(instructions="changed")


async def test_a_recorded_loop_costs_little(bench):
    """The goal is 1 ms for six requests and five tools; the bound here leaves room for a loaded machine."""
    bench.tool_of("read", {"text": "x" * 200}, inputs=ID)
    bench.script(*[call("read", id=str(n)) for n in range(5)], "done")
    await bench.work()
    best = 1.0
    for _ in range(20):
        bench.again()
        begun = time.perf_counter()
        assert await bench.work() == "done"
        best = min(best, time.perf_counter() - begun)
    assert best < 0.005


ANSWERS = st.one_of(
    st.sampled_from(["", "text", "{", '{"n": 1', '{"n": "x"}', '{"n": 1}', "{'n': 2,}"]),
    st.builds(cut, st.sampled_from(["", "so f", '{"n": 1}'])),
    st.lists(
        st.builds(
            ToolCall,
            id=st.just("i"),
            name=st.sampled_from(["read", "write", "nope"]),
            arguments=st.one_of(
                st.sampled_from(["", "{", '{"id": "1"}', "x"]),
                st.fixed_dictionaries({"id": st.sampled_from(["1", "2", 3])}),
                st.none(),
            ),
        ),
        min_size=1,
        max_size=4,
    ),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(ANSWERS, min_size=9, max_size=9), st.booleans(), st.integers(1, 8))
async def test_any_script_ends_within_its_steps_and_every_call_is_one_effect(new_bench, answers, schema, steps):
    bench = new_bench()
    busy(bench)
    model = bench.script(*answers)
    work = {"schema": NUMBER if schema else None, "limits": {"steps": steps}}
    first = await ended(bench, **work)
    assert len(model.seen) <= steps
    assert len(bench.keys) == len(set(bench.keys))
    assert len(bench.did) == sum("c" in key.rpartition("/")[2] for key in bench.keys)
    assert schema is False or first[0] == "failed" or isinstance(first[1]["n"], int)
    did = len(bench.did)
    bench.again().script()
    assert await ended(bench, **work) == first
    assert len(bench.did) == did


async def ended(bench, **work):
    try:
        return "done", await bench.work(**work)
    except Failure as failure:
        return "failed", failure.code, failure.message, failure.details


async def test_a_limit_of_time_bounds_the_next_request_too(bench):
    bench.tool_of("read")
    model = bench.script(call("read"), "done")
    await bench.work(limits={"time_ms": 60_000}, parameters={"timeout": 5})
    assert [r.parameters["timeout"] for r in model.seen] == [5, 5]


async def test_a_request_may_take_what_is_left_of_the_time(bench):
    model = bench.script("done")
    await bench.work(limits={"time_ms": 2_000})
    assert [r.parameters["timeout"] for r in model.seen] == [2.0]
