from collections.abc import Callable
from pathlib import Path

import pytest

from clew.manifest.compare import compare
from clew.manifest.plan import load

Write = Callable[[dict[str, str | bytes]], Path]


def test_nothing_differs_from_itself(full_project: Path) -> None:
    plan = load(full_project)
    assert compare(plan, plan) == []


@pytest.mark.parametrize(
    ("file", "before", "after", "lines"),
    [
        ("clew.yaml", "timeout: 120s", "timeout: 1s", ["nodes.answer.timeout_ms: 120000 -> 1000"]),
        ("clew.yaml", "max_attempts: 3", "max_attempts: 2", ["nodes.answer.retry.max_attempts: 3 -> 2"]),
        ("clew.yaml", "label: batch", "label: many", ['edges.classify -> parts.label: "batch" -> "many"']),
        ("clew.yaml", "steps: 4", "steps: 5", ["agents.triager.limits.steps: 4 -> 5"]),
        ("clew.yaml", "id: read_file", "id: list_files", ["tools.list_files: added", "tools.read_file: removed"]),
        ("clew.yaml", "max_items: 1000", "max_items: 1", ["sections.memory.task_store.retention.max_items: 1000 -> 1"]),
        (
            "prompts/triager.md",
            "Choose",
            "Take",
            ['agents.triager.instructions: "Choose a route.\\n" -> "Take a route.\\n"'],
        ),
        ("schemas/Route.json", '"route"', '"way"', ['schemas.Route.required: ["route"] -> ["way"]']),
    ],
)
def test_what_changed_is_named(full_project: Path, file: str, before: str, after: str, lines: list[str]) -> None:
    old = load(full_project)
    text = (full_project / file).read_text()
    (full_project / file).write_text(text.replace(before, after))
    found = [str(difference) for difference in compare(old, load(full_project))]
    assert [line[:60] for line in found] == [line[:60] for line in lines]


def test_handler_sources_are_compared(full_project: Path) -> None:
    old = load(full_project)
    (full_project / "handlers.py").write_text((full_project / "handlers.py").read_text() + "\n# more\n")
    assert {difference.name for difference in compare(old, load(full_project))} == set(old.handlers)


def test_the_order_of_arms_counts(write: Write) -> None:
    text = (
        "id: w\nnodes:\n"
        + "".join(
            f"  - {{id: {name}, kind: deterministic, role: {role}}}\n"
            for name, role in [("s", "start"), ("b", "branch"), ("l", "linear"), ("r", "linear"), ("x", "exit")]
        )
        + "edges:\n  - {from: s, to: b}\n  - {from: b, to: l}\n  - {from: b, to: r}\n"
        + "  - {from: l, to: x}\n  - {from: r, to: x}\n"
    )
    old = load(write({"workflow.yaml": text}))
    swapped = text.replace("b, to: l", "b, to: ?").replace("b, to: r", "b, to: l").replace("to: ?", "to: r")
    new = load(write({"workflow.yaml": swapped}))
    assert [difference.path for difference in compare(old, new)] == [
        "edges.b -> l.position",
        "edges.b -> r.position",
    ]
