"""The door: looked up, checked, performed, recorded (design §5, R2)."""

import asyncio

import msgspec
import pytest

from clew.core.errors import Failure, NonDeterminism, Stopped, Suspended
from clew.core.events import EffectFinished, EffectStarted
from clew.gate.door import Door, outcome_of
from clew.gate.effect import Effect, Outcome, denied
from clew.testing import MemoryRecord, ScriptedDriver


def effect(**fields):
    return Effect(
        **{"key": "0/a#1/1", "kind": "tool", "name": "n", "request": {"x": 1}, "task": "0", "node": "a", **fields}
    )


class Layer:
    """An interceptor by script."""

    def __init__(self, name, around=None):
        self.name = name
        self._around = around

    async def around(self, effect, call, proceed):
        if self._around:
            return await self._around(effect, call, proceed)
        return await proceed(effect)

    def fold(self, state, event):
        return (state or 0) + 1


@pytest.fixture
def record():
    return MemoryRecord()


def door(record, *answers, layers=()):
    driver = ScriptedDriver(*answers)
    return Door(record, layers, {"tool": driver}), driver


def kinds(record):
    return [type(e.fact).__name__ for e in record.events]


# -- perform and record ----------------------------------------------------------------------------------------------


async def test_intent_is_durable_before_and_outcome_after_the_driver(record):
    seen = []
    gate, _ = door(record, lambda _: seen.append(kinds(record)) or {"ok": True})
    outcome = await gate.perform(effect())
    assert outcome.value() == {"ok": True}
    assert seen == [["EffectStarted"]]
    assert kinds(record) == ["EffectStarted", "EffectFinished"]
    started, finished = record.events
    assert started.payload == {"x": 1}
    assert started.fact.digest == finished.fact.digest == effect().digest
    assert finished.payload == {"output": {"ok": True}}


async def test_what_is_safe_to_repeat_leaves_no_intent(record):
    gate, _ = door(record, 5)
    await gate.perform(effect(repeat_safe=True))
    assert kinds(record) == ["EffectFinished"]
    assert record.events[0].payload == {"output": 5, "request": {"x": 1}}


async def test_how_long_it_took_is_recorded(record):
    def slow(_):
        record.time = 250

    gate, _ = door(record, slow)
    assert (await gate.perform(effect())).ms == 250


async def test_what_is_returned_is_what_is_recorded(record):
    gate, _ = door(record, {"t": (1, 2)})
    outcome = await gate.perform(effect())
    assert outcome.output == {"t": [1, 2]}
    assert outcome == outcome_of(record.events[-1])


async def test_a_driver_may_record_cost_usage_and_tries(record):
    given = Outcome(output=1, cost="0.02", usage={"input": 3}, tries=2, notes={"driver": "x"})
    gate, _ = door(record, given)
    outcome = await gate.perform(effect())
    assert (outcome.cost, outcome.usage, outcome.tries, outcome.notes) == ("0.02", {"input": 3}, 2, {"driver": "x"})


# -- looking up ------------------------------------------------------------------------------------------------------


async def test_a_recorded_effect_is_answered_and_nothing_else_runs(record):
    ran = []

    async def note(effect, call, proceed):
        ran.append(effect.key)
        return await proceed(effect)

    gate, driver = door(record, "first", layers=(Layer("l", note),))
    await gate.perform(effect())
    assert (await gate.perform(effect())).output == "first"
    assert (len(driver.seen), len(ran), len(record.events)) == (1, 1, 2)


async def test_another_request_under_the_key_is_non_determinism_with_a_diff(record):
    gate, _ = door(record, 1)
    await gate.perform(effect())
    with pytest.raises(NonDeterminism, match="a body must depend on its input") as caught:
        await gate.perform(effect(request={"x": 2}))
    assert "recorded tool n" in str(caught.value)
    assert "now tool n {'x': 2}" in str(caught.value)


async def test_the_diff_shows_the_request_of_a_repeat_safe_effect_too(record):
    gate, _ = door(record, 1)
    await gate.perform(effect(repeat_safe=True))
    with pytest.raises(NonDeterminism, match=r"recorded tool n \{'x': 1\}, now tool other"):
        await gate.perform(effect(repeat_safe=True, name="other"))


async def test_a_long_request_is_cut_in_the_diff(record):
    gate, _ = door(record, 1)
    await gate.perform(effect(repeat_safe=True, request="a" * 5000))
    with pytest.raises(NonDeterminism) as caught:
        await gate.perform(effect(request="b" * 5000))
    assert len(str(caught.value)) < 700


async def test_an_intent_of_another_request_is_non_determinism(record):
    gate, _ = door(record, 1)
    await gate.perform(effect())
    record.forget_outcome("0/a#1/1")
    with pytest.raises(NonDeterminism, match=r"recorded tool n \{'x': 1\}"):
        await gate.perform(effect(request={"x": 2}))


@pytest.mark.parametrize("finished", [True, False])
async def test_in_a_fork_another_request_revises_what_was_copied(record, finished):
    gate, driver = door(record, "old", "new")
    await gate.perform(effect())
    if not finished:
        record.forget_outcome("0/a#1/1")
    record.forked = {"0/a#1/1"}
    assert (await gate.perform(effect(request={"x": 2}))).output == "new"
    assert len(driver.seen) == 2


# -- failures --------------------------------------------------------------------------------------------------------


async def test_a_drivers_failure_is_an_outcome(record):
    gate, _ = door(record, Failure("no such issue", code="not_there", details={"id": 3}))
    outcome = await gate.perform(effect())
    assert outcome.error == {"code": "not_there", "message": "no such issue", "details": {"id": 3}}
    assert record.events[-1].fact.status == "error"


@pytest.mark.parametrize("bug", [KeyError("x"), SystemExit(3)])
async def test_a_bug_in_a_driver_is_an_outcome_too(record, bug):
    gate, _ = door(record, bug)
    assert (await gate.perform(effect())).error["code"] == "driver_error"


async def test_what_is_no_json_is_a_driver_error(record):
    gate, _ = door(record, lambda _: object())
    assert (await gate.perform(effect())).error["code"] == "driver_error"


async def test_a_kind_without_a_driver_is_denied(record):
    gate, _ = door(record)
    outcome = await gate.perform(effect(kind="model"))
    assert (outcome.status, outcome.error["code"]) == ("denied", "no_driver")


async def test_a_local_function_takes_the_drivers_place(record):
    gate, driver = door(record)

    async def local(final):
        return final.request["x"] + 1

    assert (await gate.perform(effect(), local)).output == 2
    assert driver.seen == []


async def test_a_recorded_failure_stays_one(record):
    gate, driver = door(record, Failure("once", code="x"), "never")
    await gate.perform(effect())
    assert (await gate.perform(effect())).error["code"] == "x"
    assert len(driver.seen) == 1


# -- interceptors ----------------------------------------------------------------------------------------------------


async def test_interceptors_wrap_outermost_first(record):
    order = []

    def layer(name):
        async def around(effect, call, proceed):
            order.append(f"{name} in")
            outcome = await proceed(effect)
            order.append(f"{name} out")
            return outcome

        return Layer(name, around)

    gate, _ = door(record, lambda _: order.append("driver"), layers=(layer("outer"), layer("inner")))
    await gate.perform(effect())
    assert order == ["outer in", "inner in", "driver", "inner out", "outer out"]


async def test_a_denial_performs_nothing_and_leaves_no_intent(record):
    async def deny(effect, call, proceed):
        return denied("denied", "no")

    gate, driver = door(record, 1, layers=(Layer("deny", deny),))
    assert (await gate.perform(effect())).status == "denied"
    assert driver.seen == []
    assert kinds(record) == ["EffectFinished"]
    assert (await gate.perform(effect())).status == "denied"  # stays denied on resume


async def test_rewritten_arguments_are_performed_and_the_request_keeps_its_digest(record):
    async def rewrite(effect, call, proceed):
        return await proceed(msgspec.structs.replace(effect, request={"x": 99}))

    gate, driver = door(record, 1, layers=(Layer("rewrite", rewrite),))
    outcome = await gate.perform(effect())
    assert driver.seen[0].request == {"x": 99}
    assert outcome.performed == {"x": 99}
    assert record.events[-1].fact.digest == effect().digest
    assert (await gate.perform(effect())).performed == {"x": 99}


async def test_notes_and_state_reach_record_and_interceptor(record):
    seen = []

    async def note(effect, call, proceed):
        seen.append((call.state("l"), call.run, call.mode, call.principal.user))
        call.note("l", {"spent": 3})
        return await proceed(effect)

    layer = Layer("l", note)
    record = MemoryRecord(interceptors=(layer,))
    gate, _ = door(record, 1, 2, layers=(layer,))
    assert (await gate.perform(effect())).notes == {"l": {"spent": 3}}
    await gate.perform(effect(key="0/a#1/2"))
    assert seen == [(None, "r", "implement", "local"), (2, "r", "implement", "local")]


async def test_an_interceptor_asks_a_human_and_goes_on_with_the_answer(record):
    async def ask(effect, call, proceed):
        answer = await call.ask(effect, {"question": "may I?"})
        return await proceed(effect) if answer["decision"] == "approve" else denied("rejected", answer["why"])

    gate, driver = door(record, "done", layers=(Layer("ask", ask),))
    with pytest.raises(Suspended, match="0/a#1/1/ask"):
        await gate.perform(effect())
    assert record.events[-1].fact.key == "0/a#1/1/ask"
    assert driver.seen == []
    await answer_wait(record, "0/a#1/1/ask", {"decision": "approve"})
    assert (await gate.perform(effect())).output == "done"


async def answer_wait(record, key, output):
    fact = EffectFinished(key=key, kind="human", name="", digest=record.started(key).fact.digest, task="0", node="a")
    await record.record(type(record.events[0])(fact, {"output": output}, 0))


# -- waits -----------------------------------------------------------------------------------------------------------


async def test_a_wait_opens_once_and_suspends_until_it_is_answered(record):
    gate, _ = door(record)
    question = effect(kind="human", due=77)
    for _ in range(2):
        with pytest.raises(Suspended):
            await gate.perform(question)
    assert kinds(record) == ["EffectStarted"]
    fact = record.events[0].fact
    assert isinstance(fact, EffectStarted)
    assert (fact.wait, fact.due) == (True, 77)
    await answer_wait(record, question.key, {"decision": "approve", "value": 3})
    assert (await gate.perform(question)).output["value"] == 3


# -- in doubt --------------------------------------------------------------------------------------------------------


async def in_doubt(record, *answers, **fields):
    gate, driver = door(record, "lost", *answers)
    await gate.perform(effect(**fields))
    record.forget_outcome("0/a#1/1")
    return gate, driver


async def test_in_doubt_fails_by_default_and_says_how_to_mend(record):
    gate, driver = await in_doubt(record)
    outcome = await gate.perform(effect())
    assert outcome.error["code"] == "in_doubt"
    assert "repeat_safe" in outcome.error["message"]
    assert len(driver.seen) == 1
    assert (await gate.perform(effect())).error["code"] == "in_doubt"


async def test_in_doubt_retry_does_it_again_without_a_second_intent(record):
    gate, driver = await in_doubt(record, "again")
    assert (await gate.perform(effect(on_in_doubt="retry"))).output == "again"
    assert len(driver.seen) == 2
    assert kinds(record) == ["EffectStarted", "EffectFinished"]


@pytest.mark.parametrize(("decision", "performed"), [("approve", 2), ("reject", 1)])
async def test_in_doubt_asks_a_human(record, decision, performed):
    gate, driver = await in_doubt(record, "again")
    with pytest.raises(Suspended):
        await gate.perform(effect(on_in_doubt="ask"))
    asked = record.events[-1]
    assert asked.payload["reason"] == "in_doubt"
    assert asked.payload["args"] == {"x": 1}
    await answer_wait(record, "0/a#1/1/ask", {"decision": decision})
    outcome = await gate.perform(effect(on_in_doubt="ask"))
    assert len(driver.seen) == performed
    assert outcome.output == "again" if performed == 2 else outcome.error["code"] == "in_doubt"


async def test_what_was_declared_safe_since_is_simply_done_again(record):
    gate, driver = await in_doubt(record, "again")
    assert (await gate.perform(effect(repeat_safe=True))).output == "again"
    assert len(driver.seen) == 2


# -- cut -------------------------------------------------------------------------------------------------------------


async def in_flight(record):
    gate = asyncio.Event()

    class Hanging:
        async def perform(self, effect):
            gate.set()
            await asyncio.Event().wait()

    task = asyncio.get_running_loop().create_task(Door(record, (), {"tool": Hanging()}).perform(effect()))
    await gate.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_effect_cut_in_flight_is_recorded(record):
    record.stopped = True
    await in_flight(record)
    assert record.events[-1].payload["error"]["code"] == "interrupted"


async def test_an_effect_of_a_driver_that_goes_is_left_in_doubt(record):
    await in_flight(record)
    assert kinds(record) == ["EffectStarted"]


async def test_a_record_that_stopped_stops_the_effect(record):
    async def stop(event):
        raise Stopped("r")

    record.record = stop
    gate, driver = door(record, 1)
    with pytest.raises(Stopped):
        await gate.perform(effect())
    assert driver.seen == []


async def test_an_outcome_read_back_from_an_erased_payload():
    event = type(await _finished())(EffectFinished(key="k", kind="t", name="n", digest="", task="0", node="a"), None, 0)
    assert outcome_of(event).output is None


async def _finished():
    record = MemoryRecord()
    await door(record, 1)[0].perform(effect())
    return record.events[-1]
