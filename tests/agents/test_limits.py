"""Bounds of an agent body, from recorded outcomes (G5). Money is decimal."""

import pytest

from clew.agents.limits import STEPS, Spent
from clew.core.errors import Failure
from clew.gate.effect import Outcome
from clew.manifest.compiled import Limits


def turn(cost="0.1", tokens=(10, 5), ms=100, **fields):
    usage = {"input_tokens": tokens[0], "output_tokens": tokens[1]} if tokens else None
    return Outcome(output={"parts": []}, cost=cost, usage=usage, ms=ms, **fields)


def spent(**limits):
    return Spent("writer", Limits(**limits))


def test_without_limits_there_are_steps_only():
    one = spent()
    for _ in range(50):
        one.turn({}, turn(cost="", tokens=None))
        one.check()
    assert (one.most_steps, one.room(), one.steps, one.tokens) == (STEPS, None, 50, 0)


@pytest.mark.parametrize(
    ("limits", "turns", "code", "said"),
    [
        ({"tokens": 45}, 3, "limit_tokens", "45 of 45 tokens"),
        ({"tokens": 31}, 3, "limit_tokens", "45 of 31 tokens"),
        ({"cost": "0.3"}, 3, "limit_cost", "$0.3 of $0.3"),
        ({"cost": "0"}, 1, "limit_cost", "$0.1 of $0"),
        ({"time_ms": 250}, 3, "limit_time", "300 of 250 ms"),
    ],
)
def test_a_limit_is_held_before_the_next_request(limits, turns, code, said):
    one = spent(**limits)
    for _ in range(turns):
        one.check()
        one.turn({}, turn())
    with pytest.raises(Failure, match="agent 'writer' reached its limit") as caught:
        one.check()
    assert caught.value.code == code
    assert said in caught.value.message
    assert caught.value.details == {"steps": turns, "tokens": 15 * turns, "cost": f"0.{turns}", "ms": 100 * turns}


def test_nothing_is_lost_to_binary_fractions():
    one = spent(cost="1.0")
    for _ in range(9):
        one.turn({}, turn(cost="0.1"))
        one.check()
    one.turn({}, turn(cost="0.1"))
    with pytest.raises(Failure):
        one.check()


def test_what_is_free_may_go_on_for_nothing():
    one = spent(cost="0")
    one.turn({}, turn(cost="0"))
    one.check()


def test_a_limit_of_cost_needs_a_price():
    with pytest.raises(Failure, match="price of p/m is not known") as caught:
        spent(cost="1").turn({}, turn(cost="", by="p/m"))
    assert caught.value.code == "price_unknown"
    assert "prices" in caught.value.hint
    spent(cost="1").turn({}, turn(cost="", error={"code": "x"}))


def test_tokens_that_nobody_counted_are_estimated_where_they_are_limited():
    one = spent(tokens=1000)
    one.turn({"messages": "x" * 396}, turn(tokens=None))
    assert 100 < one.tokens < 120
    assert one.room() == 1000 - one.tokens
    one.turn({"messages": "x" * 9000}, turn(tokens=(0, 0)))
    assert one.room() == 1


def test_calls_at_the_same_time_take_as_long_as_the_longest():
    one = spent(time_ms=1000, cost="1")
    one.together([turn(ms=400), turn(ms=700, cost="")])
    one.together([])
    assert one.view() == {"steps": 0, "tokens": 0, "cost": "0.1", "ms": 700}


def test_nonsense_of_a_provider_gives_no_room():
    one = spent(tokens=100)
    one.turn({}, turn(tokens=(60, 0)))
    one.turn({}, turn(tokens=(-1000, 40)))
    with pytest.raises(Failure, match="100 of 100 tokens"):
        one.check()


def test_time_that_is_left_is_never_nothing():
    one = spent(time_ms=1500)
    assert (spent().seconds(), one.seconds()) == (None, 1.5)
    one.turn({}, turn(ms=1000))
    assert one.seconds() == 0.5
    one.turn({}, turn(ms=1000))
    assert one.seconds() == 0.001
