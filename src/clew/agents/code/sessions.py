"""What the answer of one session says of the suite: counts, times, and which failing tests are of use."""

import re

import msgspec

from clew.agents.code.localise import Spectrum, Suspect
from clew.agents.code.ranges import packed
from clew.agents.code.records import Session, Suite, Test
from clew.agents.code.runs import FAILING
from clew.agents.code.signs import Told

_ADDRESS = re.compile(r" at 0x[0-9a-f]+")
_TOLD = 200
_WAYS = 20


def slowest(session: Session, suite: Suite) -> float:
    """Seconds of the slowest passing test that runs lines which the failing ones run, else of the slowest of all."""
    groups = session.coverage.groups if session.coverage else []
    near = [session.tests[i].took for _, passing in groups for i in passing]
    return min(max(near), suite.slowest) if near else suite.slowest


def why_not(test: Test, runs_code: bool) -> str:
    """Why a failing test cannot tell good candidates from bad ones; empty when it can."""
    if test.outcome not in FAILING:
        return "it did not fail when it was run again"
    if test.missing:
        return f"the interpreter has no {test.missing}"
    if test.network:
        return "it asks for a network socket, which the sandbox refuses"
    if runs_code:
        return ""
    if test.collect:
        return f"it cannot be collected: {test.message}"
    return "it runs no code of the repository that may be edited, at least not in its own process"


def counts(session: Session) -> dict[str, int]:
    outcomes = [test.outcome for test in session.tests]
    return {
        "passed": outcomes.count("passed"),
        "failed": sum(outcomes.count(outcome) for outcome in FAILING) + len(session.not_run),
        "skipped": outcomes.count("skipped"),
    }


def seconds(session: Session) -> float:
    return round(sum(test.took for test in session.tests), 3)


def told(session: Session, targets: list[int], files: frozenset[str]) -> list[Told]:
    """How the targets fail: the first line of the message, and the innermost place in the files that may be repaired."""
    found: dict[Told, None] = {}
    for target in targets:
        test = session.tests[target]
        place = next(((file, line) for file, line in reversed(test.frames) if file in files), ("", 0))
        found.setdefault(Told(_ADDRESS.sub("", test.message.partition("\n")[0])[:_TOLD], *place))
    return list(found)[:_WAYS]


def compact(
    suspects: list[Suspect], spectrum: Spectrum, targets: list[int]
) -> tuple[list[str], list[str], list[Suspect]]:
    """Keep only the groups that are used, renumbered: as ranges, the passing tests and the targets of each."""
    places = {test: place for place, test in enumerate(targets)}
    numbers: dict[int, int] = {}
    groups: list[str] = []
    hits: list[str] = []
    for suspect in suspects:
        if suspect.group not in numbers:
            numbers[suspect.group] = len(groups)
            failing, passing = spectrum.groups[suspect.group]
            groups.append(packed(passing))
            hits.append(packed(places[test] for test in failing if test in places))
    return groups, hits, [msgspec.structs.replace(s, group=numbers[s.group]) for s in suspects]
