"""The generator makes valid graphs that are hard enough, and the reference agrees with itself under any interleaving."""

import random
from collections import Counter

import pytest
from graphs import Case, random_case
from reference import Reference, interpret
from scoping import RUN
from summary import differences, of_reference
from validity import problems

SEEDS = range(1_000_000, 1_000_300)


def interpreted(case: Case, seed: int) -> Reference:
    return interpret(case.scoping, case.run_input, case.outcome, random.Random(seed).choice)


def features(case: Case, run: Reference) -> dict[str, bool]:
    """What of W5 and W6 a run came across."""
    tasks, nodes, scope = run.tasks.values(), case.scoping.nodes, case.scoping.scope
    merged = [nodes[t.id.rsplit("~", 1)[1]] for t in tasks if "~" in t.id and "." not in t.id.rsplit("~", 1)[1]]
    return {
        "merge fired": bool(merged),
        "two merges fired": len(merged) > 1,
        "continuation of a continuation": any(t.id.count("~") > 1 for t in tasks),
        "merge with joins fired": any(m.joins for m in merged),
        "merge of the run fired": any(scope(m.id) == RUN for m in merged),
        "merge with one edge fired": any(sum(e.target == m.id for e in case.graph.edges) == 1 for m in merged),
        "innermost dominator is not the scope": any(case.scoping.dominators(m.id)[-1] != scope(m.id) for m in merged),
        "failure arrived": any(t.arrived == "failure" for t in tasks),
        "nothing arrived": any(t.arrived == "nothing" for t in tasks),
        "merge failed": any(t.error and t.error["code"] == "merge_failed" for t in tasks),
        "merge ran in spite of failures": any('"failures":[{' in ran[3] for ran in run.ran),
        "parent without leaves": any(t.split_at and t.merged_into for t in tasks),
        "parent failed": any(t.error and t.error["code"] == "arm_failed" for t in tasks),
        "arm cancelled": any(t.state == "cancelled" for t in tasks),
        "leaf in an arm": any(t.parent and t.state == "completed" and not t.merged_into for t in tasks),
        "partial": any(t.status == "partial" for t in tasks),
        "second attempt": any(ran[2] > 1 for ran in run.ran),
        "recovered": any('"input"' in ran[3] and '"error"' in ran[3] for ran in run.ran),
        "unknown route": any(t.error and t.error["code"] == "unknown_route" for t in tasks),
        "three deep": any(len(t.position) > 2 for t in tasks),
        "twenty tasks": len(tasks) > 20,
        "other start": not nodes[case.start].default,
    }


def test_generated_graphs_are_valid() -> None:
    for seed in SEEDS:
        assert problems(random_case(seed).graph) == []


def test_a_case_follows_from_its_seed() -> None:
    assert random_case(7).graph == random_case(7).graph
    assert random_case(7).outcome("0", "s0", 1, 1) == random_case(7).outcome("0", "s0", 1, 1)


def test_generated_cases_meet_every_rule() -> None:
    met: Counter[str] = Counter()
    for seed in range(1_000_000, 1_000_500):
        case = random_case(seed)
        met.update({name: int(holds) for name, holds in features(case, interpreted(case, 1)).items()})
    rare = {name: count for name, count in met.items() if count < 5}
    assert not rare, f"of 500 cases hardly any meet {rare}"


def test_the_reference_does_not_depend_on_order() -> None:
    for seed in SEEDS:
        case = random_case(seed)
        if not case.ordered:
            first, *others = [of_reference(interpreted(case, number)) for number in range(4)]
            for other in others:
                assert differences(first, other) == [], seed


@pytest.mark.slow
def test_the_reference_never_sticks() -> None:
    for seed in range(2_000_000, 2_002_000):
        case = random_case(seed)
        for number in range(2):
            interpreted(case, number)
