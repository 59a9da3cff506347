import pytest

from clew.core.errors import Failure
from clew.gate.door import Door
from clew.gate.effect import Effect
from clew.testing import MemoryRecord, ScriptedDriver


def effect(n=1):
    return Effect(key=f"k{n}", kind="tool", name="n", request=n, task="0", node="a")


async def test_a_driver_answers_in_order_by_value_function_or_failure():
    driver = ScriptedDriver("one", lambda effect: effect.request * 10, Failure("no", code="mine"))
    door = Door(MemoryRecord(), (), {"tool": driver})
    assert [(await door.perform(effect(n))).output for n in (1, 2)] == ["one", 20]
    assert (await door.perform(effect(3))).error["code"] == "mine"
    assert [e.request for e in driver.seen] == [1, 2, 3]
    with pytest.raises(IndexError):
        await driver.perform(effect(4))


async def test_a_record_forgets_an_outcome_as_a_crash_does():
    record = MemoryRecord()
    door = Door(record, (), {"tool": ScriptedDriver("one")})
    await door.perform(effect())
    record.forget_outcome("k1")
    assert record.finished("k1") is None
    assert record.started("k1") is not None
    assert (await door.perform(effect())).error["code"] == "in_doubt"
