"""A run is cut off at every event, taken up from its events alone, and comes to the same end."""

import random

import pytest
from check import final_differences
from drive import MAX_DEATHS, NO_HABITS, Drive, Habits, play, resumed
from graphs import Case, random_case
from reference import Reference, interpret
from shrink import described

from clew.core.codec import decode_envelope, decode_payload, encode_envelope, encode_payload
from clew.core.events import DriverStarted, DriverStopped, Event
from clew.core.machine import Machine

QUICK = 20
CASES = 500
PARTS = 5


def replayed(case: Case, events: list[Event]) -> Machine:
    machine = Machine(case.graph, case.start)
    for event in events:
        machine.apply(event)
    return machine


def read_back(events: list[Event]) -> list[Event]:
    """As they come out of a journal."""
    written = [(encode_envelope(seq, event), encode_payload(event.payload)) for seq, event in enumerate(events)]
    return [Event(e.fact, decode_payload(p), e.at) for e, p in ((decode_envelope(env), p) for env, p in written)]


def crash_at_every_event(case: Case) -> None:
    live = Drive(case, random.Random(case.seed), Reference(case.scoping, case.run_input))
    live.begin()
    snapshots = [live.machine.snapshot()]
    commands = [live.machine.decide()]
    lengths = [len(live.history)]
    while live.step():
        snapshots.append(live.machine.snapshot())
        commands.append(live.machine.decide())
        lengths.append(len(live.history))
    assert live.twin is not None
    live.twin.finish()
    for at in range(len(lengths)):
        cut = resumed(case, live.history[: lengths[at]], case.seed + at)
        where = f"event {lengths[at]} of\n{described(case)}"
        assert cut.machine.snapshot() == snapshots[at], where
        assert cut.machine.decide() == commands[at], where
        if at < len(lengths) - 1:
            go_on(cut, live.twin if not case.ordered else None, where)


def go_on(cut: Drive, expected: Reference | None, where: str) -> None:
    """To the end, with a new driver. Where the order counts, the end is what the same order gives the reference."""
    assert cut.twin is not None
    cut.take()
    still = [t for t in cut.machine.snapshot()["running"] if cut.machine.tasks[t].state != "cancelled"]
    assert not still, where  # of a cancelled body the new driver records that it has stopped
    cut.to_the_end()
    cut.twin.finish()
    assert final_differences(cut, cut.twin) == [], where
    assert expected is None or final_differences(cut, expected) == [], where
    assert replayed(cut.case, cut.history).snapshot() == cut.machine.snapshot(), where


def test_crash_at_every_event_quick() -> None:
    for seed in range(3_000_000, 3_000_000 + QUICK):
        crash_at_every_event(random_case(seed))


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_crash_at_every_event(part: int) -> None:
    size = CASES // PARTS
    first = 3_000_000 + QUICK + part * size
    for seed in range(first, first + size):
        crash_at_every_event(random_case(seed))


def test_replay_is_live() -> None:
    for seed in range(4_000_000, 4_000_200):
        case = random_case(seed)
        habits = Habits(asks=0.05, pauses=0.03, changes=0.03) if seed % 2 else NO_HABITS
        live = play(case, seed, habits=habits)
        assert replayed(case, read_back(live.history)).snapshot() == live.machine.snapshot(), seed


def crash_again_and_again(seeds: range) -> int:
    """How many runs met a body that died of it. Such a body fails with ``crashed``, as the reference is told."""
    died = 0
    for seed in seeds:
        case = random_case(seed)
        twin = Reference(case.scoping, case.run_input)
        run = play(case, seed, twin, Habits(crashes=0.3, asks=0.05, changes=0.05))
        twin.finish()
        assert final_differences(run, twin) == [], f"seed {seed}\n{described(case)}"
        assert replayed(case, run.history).snapshot() == run.machine.snapshot(), seed
        died += any(deaths >= MAX_DEATHS for deaths in run.deaths.values())
    return died


def test_crashes_again_and_again_quick() -> None:
    assert crash_again_and_again(range(5_500_000, 5_500_100)) > 10


@pytest.mark.slow
def test_crashes_again_and_again() -> None:
    assert crash_again_and_again(range(5_500_100, 5_503_000)) > 300


def test_driver_that_stops_in_order_any_number_of_times_changes_nothing() -> None:
    for seed in range(5_000_000, 5_000_100):
        case = random_case(seed)
        if case.ordered:
            continue
        expected = interpret(case.scoping, case.run_input, case.outcome, random.Random(1).choice)
        stopped = play(case, seed, habits=Habits(changes=0.4))
        assert final_differences(stopped, expected) == [], seed
        facts = [type(e.fact) for e in stopped.history]
        assert facts.count(DriverStarted) == facts.count(DriverStopped) + 1
