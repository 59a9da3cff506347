from collections.abc import Callable
from pathlib import Path

import pytest

from clew.manifest.draw import mermaid, text
from clew.manifest.plan import load

Build = Callable[[list[str], list[str]], Path]


def test_text_shows_roles_labels_failure_edges_and_scopes(full_project: Path) -> None:
    drawn = text(load(full_project))
    for line in (
        "workflow triage, from start",
        "classify  decision (agent triager)",
        "-> batch: parts",
        "-> on failure sorry",
        "parts     split, over items",
        "join      merge, handlers:join, scope parts, on failure partial",
        "failed    exit, always fails",
    ):
        assert line in drawn


def test_mermaid(full_project: Path) -> None:
    drawn = mermaid(load(full_project))
    assert drawn.startswith("flowchart TD\n")
    assert '-->|"batch"|' in drawn
    assert '-.->|"failure"|' in drawn
    assert "scope parts" in drawn


def test_labels_cannot_break_out_of_the_drawing(graph_project: Build) -> None:
    label = 'label: "\\"]; click n0 <script>#"'
    nodes = ["s start", "d decision", "x exit"]
    drawn = mermaid(load(graph_project(nodes, ["s d", f"d x {label}", "d x label: b"])))
    assert "<script>" not in drawn
    assert '"]; click' not in drawn


def test_only_what_the_start_reaches(graph_project: Build) -> None:
    plan = load(graph_project(["s start default: true", "x exit", "t start", "y exit"], ["s x", "t y"]))
    assert "not reached from here: t, y" in text(plan)
    assert "workflow g, from t" in text(plan, "t")
    assert '"y<br/>exit"' not in mermaid(plan)
    with pytest.raises(KeyError):
        text(plan, "x")
