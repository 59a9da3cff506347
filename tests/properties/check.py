"""One case against the reference, every way; what differs, as text."""

import random

from drive import NO_HABITS, Drive, Habits
from graphs import Case, random_case
from reference import Reference, interpret
from shrink import described, shrink
from summary import broken_rules, differences, items_over_limit, of_machine, of_reference, wrong_counters

from clew.core.commands import RunNode

RESTLESS = Habits(asks=0.05, pauses=0.03, changes=0.03)


def disagreements(case: Case, interleavings: int = 2) -> list[str]:
    """Runs the machine in several interleavings, the last one with waits, pauses and changes of driver.

    Step by step it is compared with a reference driven by the same completions, and at the end, where the order may
    not matter, with one that ran in an order of its own.
    """
    alone = (
        None if case.ordered else interpret(case.scoping, case.run_input, case.outcome, random.Random(case.seed).choice)
    )
    for number in range(interleavings):
        habits = RESTLESS if number == interleavings - 1 else NO_HABITS
        twin = Reference(case.scoping, case.run_input)
        drive = Drive(case, random.Random(case.seed * 10 + number), twin, habits)
        try:
            found = _watched(drive)
            if not found:
                twin.finish()
                found = final_differences(drive, alone or twin)
        except Exception as error:
            found = [f"{type(error).__name__}: {error}"]
        if found:
            return [f"interleaving {number}", *found]
    return []


def _watched(drive: Drive) -> list[str]:
    drive.begin()
    while drive.step():
        if drive.completed:
            offered = [c.task for c in drive.machine.decide() if isinstance(c, RunNode)]
            if found := wrong_counters(drive) + items_over_limit(drive, offered):
                return found
    return []


def final_differences(drive: Drive, reference: Reference) -> list[str]:
    return broken_rules(drive.machine) + differences(of_machine(drive), of_reference(reference))


def check(seeds: range) -> None:
    """Fails with the smallest case found."""
    for seed in seeds:
        case = random_case(seed)
        if disagreements(case):
            small = shrink(case, lambda c: bool(disagreements(c)))
            lines = "\n".join(disagreements(small)[:12])
            raise AssertionError(f"machine != reference in\n{described(small)}\n{lines}")
