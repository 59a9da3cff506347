"""SIGKILL at any moment: the run goes on where it was, to the same output and trace, with nothing done twice (R2)."""

import pytest
from trials import Trials, seeded

pytestmark = [pytest.mark.chaos, pytest.mark.slow]

ISOLATED = {"changes": {"input": {"items": [1, 2, 3, 4], "isolated": True}}}


@pytest.mark.parametrize("phase", ["before", "after"])
def test_at_every_journal_write(trials: Trials, phase: str) -> None:
    """``before``: nothing of the write is durable; ``after``: it is, and nothing followed from it."""
    writes = trials.reference()["writes"]
    assert writes > 100
    trials.acquit([[{"write": k, "phase": phase}] for k in range(1, writes + 1)])


@pytest.mark.parametrize("when", ["before", "after"])
def test_around_every_effect(trials: Trials, when: str) -> None:
    """Between an effect and its outcome: repeated where that does no harm, looked into where it must not be."""
    names = sorted({line["name"] for line in trials.reference()["log"]})
    assert len(names) > 35
    trials.acquit([[{"point": f"{when} {name}"}] for name in names])


def test_at_random_moments(trials: Trials, seed: str) -> None:
    draw, steps = seeded(seed), trials.reference()["steps"]
    trials.acquit([[{"step": draw.randrange(1, steps)}] for _ in range(60)])


def test_at_random_times(trials: Trials, seed: str) -> None:
    draw = seeded(seed)
    trials.acquit([[{"after_ms": draw.randrange(1, 300)}] for _ in range(40)])


def test_again_during_the_recovery(trials: Trials, seed: str) -> None:
    draw, reference = seeded(seed), trials.reference()
    plans = [
        [
            {"write": draw.randrange(1, reference["writes"]), "phase": draw.choice(["before", "after"])},
            draw.choice(
                [
                    {"write": draw.randrange(1, 30), "phase": draw.choice(["before", "after"])},
                    {"step": draw.randrange(1, reference["steps"])},
                ]
            ),
        ]
        for _ in range(40)
    ]
    trials.acquit(plans)


def test_again_and_again_before_anything_is_taken_up(trials: Trials, seed: str) -> None:
    """A process that dies before it recorded that it drives is no crash of the bodies: five of them end nothing."""
    draw, writes = seeded(seed), trials.reference()["writes"]
    early = {"write": 2, "phase": "before"}  # the first is the claim
    plans = [[{"write": draw.randrange(10, writes), "phase": "after"}, *[early] * 5] for _ in range(4)]
    trials.acquit(plans)


def test_whole_processes(trials: Trials, seed: str) -> None:
    """As above, each process a fresh interpreter."""
    draw, reference = seeded(seed), trials.reference()
    plans = [
        [{"write": draw.randrange(1, reference["writes"]), "phase": draw.choice(["before", "after"])}]
        for _ in range(30)
    ]
    plans += [[{"step": draw.randrange(1, reference["steps"])}] for _ in range(30)]
    trials.acquit(plans, whole=True)


def test_with_a_handler_in_a_process_of_its_own(trials: Trials, seed: str) -> None:
    draw, reference = seeded(seed), trials.reference(**ISOLATED["changes"])
    plans = [[{"step": draw.randrange(1, reference["steps"])}] for _ in range(12)]
    trials.acquit(plans, **ISOLATED)
