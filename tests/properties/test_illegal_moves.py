"""A fact that does not fit raises IllegalMove and changes nothing, whatever it is and whenever it comes."""

import random
from collections import Counter
from typing import Any

from drive import Drive
from graphs import random_case
from reference import ENDED

from clew.core.errors import IllegalMove
from clew.core.events import (
    DriverStarted,
    DriverStopped,
    EffectFinished,
    EffectStarted,
    Event,
    Fact,
    NodeCompleted,
    NodeFailed,
    NodeStarted,
    NodeStopped,
    NodeSuspended,
    Noted,
    PayloadsErased,
    RunFinished,
    RunPaused,
    RunStarted,
    RunUnpaused,
    StopRequested,
)
from clew.core.identity import body_key
from clew.core.machine import Machine

BODY_FACTS = (NodeStarted, NodeCompleted, NodeFailed, NodeSuspended, NodeStopped)
HARMLESS = (Noted, PayloadsErased)


def random_fact(rng: random.Random, drive: Drive) -> tuple[Fact, Any]:
    """Any fact, about tasks that exist, have ended, or never were."""
    tasks = [*drive.machine.tasks.values()]
    known = rng.choice(tasks) if tasks else None
    task = known.id if known and rng.random() < 0.85 else rng.choice(("0", "0.7", "9", "", "0~nowhere"))
    node = (
        known.node if known and rng.random() < 0.8 else rng.choice([n.id for n in drive.case.graph.nodes] + ["nowhere"])
    )
    attempt = rng.choice((1, 1, 1, 1, 2, 0, -1))
    body = {"task": task, "node": node, "attempt": attempt}
    effect = {"kind": "human", "name": "ask", "digest": "", "task": task, "node": node}
    key = f"{body_key(task, node, attempt)}/{rng.choice((0, 1, 'x'))}"
    facts: list[tuple[Fact, Any]] = [
        (NodeStarted(**body, entry=rng.choice((1, 1, 2, 0))), None),
        (NodeCompleted(**body), {"by": "fuzz"}),
        (NodeFailed(**body, code="boom"), {"message": "fuzz"}),
        (NodeSuspended(**body), None),
        (NodeStopped(**body), None),
        (EffectStarted(key=key, **effect, wait=rng.random() < 0.7), {}),
        (EffectFinished(key=key, **effect), {"output": 1}),
        (RunStarted(run="r", workflow="w", plan="", start=drive.case.start), {"input": 1}),
        (RunFinished(state=rng.choice(("completed", "failed", "cancelled")), status="success"), {"output": None}),
        (RunPaused(), None),
        (RunUnpaused(), None),
        (StopRequested(), {"reason": "fuzz"}),
        (DriverStarted(owner="f", epoch=rng.choice((0, 1, 2, 99))), None),
        (DriverStopped(), None),
        (Noted(name="x"), None),
        (PayloadsErased(seqs=(1,)), {"reason": "x"}),
    ]
    return rng.choice(facts)


def surely_illegal(drive: Drive) -> list[Fact]:
    """What no machine in this state may take."""
    facts: list[Fact] = [RunStarted(run="r2", workflow="w", plan="", start=drive.case.start)]
    under_way = {task for task, _, _ in drive.bodies}
    for task in drive.machine.tasks.values():
        body = {"task": task.id, "node": task.node, "attempt": 1}
        if task.id not in under_way and task.state in ("completed", "failed", "waiting"):
            facts += [NodeStarted(**body), NodeCompleted(**body), NodeFailed(**body, code="x"), NodeSuspended(**body)]
        if task.id in under_way and task.state not in ENDED:
            facts += [NodeStarted(**body), NodeStopped(**body), NodeCompleted(task=task.id, node="nowhere", attempt=1)]
    if drive.machine.state == "running":
        commands = drive.machine.decide()
        if not any(type(c).__name__ == "FinishRun" for c in commands):
            facts += [RunFinished(state="completed", status="success"), RunFinished(state="failed", status="failure")]
    return facts


def rebuilt(drive: Drive) -> Machine:
    machine = Machine(drive.case.graph, drive.case.start)
    for event in drive.history:
        machine.apply(event)
    return machine


def test_what_is_surely_illegal_is_refused_and_changes_nothing() -> None:
    tried = 0
    for seed in range(6_000_000, 6_000_060):
        drive = Drive(random_case(seed), random.Random(seed))
        drive.begin()
        while drive.step():
            before = drive.machine.snapshot()
            for fact in surely_illegal(drive):
                try:
                    drive.machine.apply(Event(fact, {"message": "m", "input": None, "output": None}))
                except IllegalMove:
                    assert drive.machine.snapshot() == before, (seed, fact)
                else:
                    raise AssertionError(f"seed {seed}: took {fact} in {before['run']}")
                tried += 1
    assert tried > 1_000


def test_random_facts_are_taken_whole_or_not_at_all() -> None:
    outcomes: Counter[str] = Counter()
    for seed in range(7_000_000, 7_000_150):
        rng = random.Random(seed)
        drive = Drive(random_case(seed), rng)
        drive.begin()
        going = True
        while going:
            for _ in range(3):
                fact, payload = random_fact(rng, drive)
                outcomes[try_fact(drive, Event(fact, payload, at=len(drive.history)))] += 1
            going = drive.step()
    assert outcomes["refused"] > 1_000
    assert outcomes["taken"] > 100


def try_fact(drive: Drive, event: Event) -> str:
    """Gives the fact to the machine. One that is taken must be foldable again; the drive goes on without it."""
    before = drive.machine.snapshot()
    wanted = drive.machine.decide()
    assert drive.machine.snapshot() == before, "decide() changed the machine"
    try:
        drive.machine.apply(event)
    except IllegalMove:
        assert drive.machine.snapshot() == before, event.fact
        assert drive.machine.decide() == wanted
        return "refused"
    after = drive.machine.snapshot()
    drive.machine.decide()
    drive.machine = rebuilt(drive)
    assert drive.machine.snapshot() == before
    again = rebuilt(drive)
    again.apply(event)
    assert again.snapshot() == after
    return "taken"


def test_a_stop_at_any_moment_ends_everything() -> None:
    for seed in range(8_000_000, 8_000_150):
        rng = random.Random(seed)
        drive = Drive(random_case(seed), rng)
        drive.begin()
        for _ in range(rng.randint(0, 30)):
            if not drive.step():
                break
        if drive.machine.state in ENDED:
            continue
        drive.apply(StopRequested(), {"reason": "enough"})
        assert not any(type(c).__name__ == "RunNode" for c in drive.machine.decide()), (
            "a body is offered after the stop"
        )
        for _ in range(200):
            moves = drive.machine.decide()
            if not moves:
                break
            drive.move(rng.choice(moves))
        assert drive.machine.state == "cancelled", seed
        assert drive.machine.status is None
        assert all(t.state in ENDED for t in drive.machine.tasks.values())
