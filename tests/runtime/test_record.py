"""What the gate remembers of a run, and how a fork's copied effects are forgotten."""

from clew.core.events import EffectFinished, EffectStarted, Event, Noted, RunStarted
from clew.runtime.record import FORKED, PAID, History


def started(key):
    return Event(EffectStarted(key=key, kind="tool", name="n", digest="d", task="0", node="a"), {"q": 1}, 1)


def finished(key, output=1):
    return Event(EffectFinished(key=key, kind="tool", name="n", digest="d", task="0", node="a"), {"output": output}, 2)


class Counter:
    name = "counter"

    def fold(self, state, event):
        return (state or 0) + 1


def test_effects_are_found_by_key():
    history = History([started("0/a#1/1"), finished("0/a#1/1")])
    assert history.started("0/a#1/1").payload == {"q": 1}
    assert history.finished("0/a#1/1").payload == {"output": 1}
    assert history.finished("0/a#1/2") is None
    assert history.started("0/a#1/2") is None


def test_the_beginning_is_kept():
    origin = RunStarted(run="r", workflow="w", plan="p", start="s")
    history = History([Event(origin, {"input": 5}, 0)])
    assert (history.origin, history.input) == (origin, 5)
    assert History([Event(origin, None, 0)]).input is None


def test_interceptors_fold_what_is_recorded():
    history = History([started("k"), finished("k"), Event(Noted(name="x"))], [Counter()])
    assert history.state("counter") == 2
    assert history.state("other") is None


def test_what_is_the_runs_own_is_binding():
    history = History([finished("0/a#1/1")])
    assert not history.revise("0/a#1/1")
    assert history.finished("0/a#1/1") is not None


def test_a_body_that_goes_another_way_forgets_what_was_copied_of_it_and_of_no_other():
    history = History([
        started("0/a#1/1"), finished("0/a#1/1"), finished("0/a#1/2"), finished("0/b#1/1"), finished("0.1/a#1/1"),
        Event(Noted(name=FORKED)), finished("0/a#1/3"),
    ])  # fmt: skip
    assert history.revise("0/a#1/1")
    assert [k for k in ("0/a#1/1", "0/a#1/2", "0/a#1/3", "0/b#1/1", "0.1/a#1/1") if history.finished(k)] == [
        "0/a#1/3", "0/b#1/1", "0.1/a#1/1",
    ]  # fmt: skip
    assert history.started("0/a#1/1") is None
    assert not history.revise("0/a#1/1")


def test_read_back_the_same_is_seen_from_a_key_that_is_recorded_again():
    history = History([
        finished("0/a#1/1", "old"), finished("0/a#1/2", "old"), Event(Noted(name=FORKED)), finished("0/a#1/1", "new"),
    ])  # fmt: skip
    assert history.finished("0/a#1/1").payload == {"output": "new"}
    assert history.finished("0/a#1/2") is None


def test_a_remark_of_another_name_ends_no_copy():
    history = History([finished("0/a#1/1"), Event(Noted(name="promoted"))])
    assert not history.revise("0/a#1/1")


def test_what_the_body_asked_before_it_went_another_way_stays_live_and_read_back():
    copied = [finished("0/a#1/t1"), finished("0/a#1/t1.c0"), finished("0/a#1/t2"), finished("0/a#1/t3")]
    live = History([*copied, Event(Noted(name=FORKED))])
    assert live.revise("0/a#1/t2")
    live.add(finished("0/a#1/t2", 2))
    back = History([*copied, Event(Noted(name=FORKED)), finished("0/a#1/t2", 2)])
    for history in (live, back):
        assert [k for k in ("t1", "t1.c0", "t2", "t3") if history.finished(f"0/a#1/{k}")] == ["t1", "t1.c0", "t2"]
        assert history.finished("0/a#1/t2").payload == {"output": 2}
        assert not history.revise("0/a#1/t2")


def test_a_body_that_goes_another_way_takes_back_what_interceptors_folded_of_it():
    history = History(
        [started("0/a#1/1"), finished("0/a#1/1"), finished("0/b#1/1"), Event(Noted(name=FORKED))], [Counter()]
    )
    assert history.revise("0/a#1/1")
    assert history.state("counter") == 1


def test_a_body_is_given_what_the_parent_paid():
    copied = finished("0/a#1/1")
    copied.payload[PAID] = {"cost": "0.5", "usage": {"input_tokens": 3}}
    history = History([copied, finished("0/a#1/2")])
    fact = history.finished("0/a#1/1").fact
    assert (fact.cost, fact.usage) == ("0.5", {"input_tokens": 3})
    assert history.finished("0/a#1/2").fact.cost == ""
