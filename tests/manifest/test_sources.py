import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from clew.manifest.plan import check, load

Write = Callable[[dict[str, str | bytes]], Path]


def _lines(root: Path) -> list[str]:
    return [str(problem) for problem in check(root)]


def test_a_huge_file_is_refused_without_reading_it(write: Write, workflow: str, handlers: str) -> None:
    root = write({"workflow.yaml": workflow, "handlers.py": handlers})
    with (root / "agents.yaml").open("wb") as file:
        file.truncate(100 * 2**20)
    began = time.monotonic()
    assert _lines(root) == ['agents.yaml: "agents.yaml" has 100.0 MiB; at most 1 MiB is read']
    assert time.monotonic() - began < 1


def test_links_out_of_the_project_are_refused(write: Write, workflow: str, handlers: str, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.md").write_text("secret")
    (outside / "agents.yaml").write_text("[]")
    (outside / "S.json").write_text("{}")
    (outside / "more.py").write_text("def work(input, ctx): ...\n")
    root = write(
        {
            "workflow.yaml": workflow.replace("handlers:work", "more:work"),
            "schemas/Good.json": "{}",
            "tools.yaml": "- {id: t, type: builtin, permissions: {root: linked}}",
            "crew.yaml": "crew_id: c\nagents: [{profile: a}]",
        }
    )
    (root / "agents.yaml").symlink_to(outside / "agents.yaml")
    (root / "more.py").symlink_to(outside / "more.py")
    (root / "schemas" / "S.json").symlink_to(outside / "S.json")
    (root / "linked").symlink_to(outside)
    assert _lines(root) == [
        'agents.yaml: "agents.yaml" leads out of the project directory',
        'schemas/S.json: "schemas/S.json" leads out of the project directory',
        'tools.yaml:1:46: tools[0].permissions.root: "linked" leads out of the project directory',
        'workflow.yaml:4:60: workflow.nodes[1].handler: "more.py" leads out of the project directory',
    ]


def test_links_inside_are_fine(write: Write, workflow: str, handlers: str) -> None:
    root = write({"real/flow.yaml": workflow, "handlers.py": handlers})
    (root / "workflow.yaml").symlink_to("real/flow.yaml")
    (root.parent / "alias").symlink_to(root)
    assert load(root).digest == load(root.parent / "alias").digest


def test_instructions_through_a_link(write: Write, workflow: str, handlers: str, tmp_path: Path) -> None:
    (tmp_path / "secret.md").write_text("secret")
    root = write(
        {
            "workflow.yaml": workflow,
            "handlers.py": handlers,
            "providers.yaml": "- {id: main, type: offline}",
            "agents.yaml": "- {id: a, model: main/x, instructions: prompt.md}",
        }
    )
    (root / "prompt.md").symlink_to(tmp_path / "secret.md")
    assert _lines(root) == ['agents.yaml:1:40: agents[0].instructions: "prompt.md" leads out of the project directory']


def test_a_pipe_is_not_waited_for(write: Write, workflow: str, handlers: str) -> None:
    root = write({"workflow.yaml": workflow, "handlers.py": handlers})
    os.mkfifo(root / "tools.yaml")
    assert _lines(root) == ['tools.yaml: "tools.yaml" is not a file']


def test_a_directory_named_like_a_section(write: Write, workflow: str, handlers: str) -> None:
    root = write({"workflow.yaml": workflow, "handlers.py": handlers, "tools.yaml/x": ""})
    assert _lines(root) == ['tools.yaml: "tools.yaml" is not a file']


def test_links_in_a_circle(write: Write, workflow: str, handlers: str) -> None:
    root = write({"workflow.yaml": workflow, "handlers.py": handlers})
    (root / "tools.yaml").symlink_to("tools.yaml")
    (problem,) = _lines(root)
    assert problem.startswith("tools.yaml: ")


@pytest.mark.parametrize("name", ["missing", "file.txt", "a\0b", "x" * 5000])
def test_what_is_no_project(tmp_path: Path, name: str) -> None:
    (tmp_path / "file.txt").write_text("")
    (problem,) = check(tmp_path / name)
    assert problem.severity == "error"


def test_a_manifest_may_be_named_instead_of_its_directory(full_project: Path) -> None:
    assert load(full_project / "clew.yaml") == load(full_project)


def test_a_section_may_stand_under_its_own_name(write: Write, workflow: str, handlers: str) -> None:
    wrapped = "workflow:\n" + "".join(f"  {line}\n" for line in workflow.splitlines())
    plain = load(write({"workflow.yaml": workflow, "handlers.py": handlers}))
    assert load(write({"workflow.yaml": wrapped})).digest == plain.digest


def test_a_misspelt_file_is_a_warning(write: Write, workflow: str, handlers: str) -> None:
    root = write({"workflow.yaml": workflow, "handlers.py": handlers, "agent.yaml": "[]", "compose.yaml": "x: 1"})
    (problem,) = check(root)
    assert problem.severity == "warning"
    assert str(problem) == 'agent.yaml: warning: is not read: no section has this name; did you mean "agents.yaml"?'
    assert load(root).workflow == "w"


def test_unreadable_sections_cause_no_further_problems(full_project: Path) -> None:
    text = (full_project / "clew.yaml").read_text()
    (full_project / "clew.yaml").write_text(text.replace("agents:\n", "agnets:\n").replace("\ntools:\n", "\nzools:\n"))
    assert [problem.path for problem in check(full_project)] == ["agnets", "zools"]
