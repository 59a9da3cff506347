import sys
from pathlib import Path

import pytest

from clew.cli import shapes
from clew.testing import write_project

SCRIPTED = Path(__file__).parents[2] / "tools" / "mcp" / "scripted.py"
PROJECT = f"""
workflow:
  id: w
  nodes:
    - {{id: start, kind: deterministic, role: start}}
    - {{id: done, kind: deterministic, role: exit}}
  edges: [{{from: start, to: done}}]
tools:
  - {{id: it, server: {{command: [{sys.executable}, -S, {SCRIPTED}]}}, tools: [echo, fail]}}
"""


@pytest.fixture
def project(tmp_path):
    return write_project(tmp_path / "project", PROJECT)


def test_tools_are_listed_with_what_became_of_them(cli, project):
    first = cli("pin", project)
    assert first.code == 0
    assert "it.echo" in first.out
    assert "new" in first.out
    assert "structured" in first.err
    second = cli("pin", project, "--json").document(shapes.PinDoc)
    assert [(tool.id, tool.was, tool.description) for tool in second.tools] == [
        ("it.echo", "same", "does echo"),
        ("it.fail", "same", "does fail"),
    ]
    assert cli("check", project).code == 0


def test_a_project_without_servers(cli, plain):
    done = cli("pin", plain)
    assert (done.code, done.out) == (0, "")
    assert "no tool" in done.err


def test_a_server_that_is_not_there(cli, project):
    (project / "clew.yaml").write_text(PROJECT.replace(str(SCRIPTED), "/no/such/file"))
    done = cli("pin", project)
    assert done.code != 0
    assert "no/such/file" in done.err
    assert "Traceback" not in done.err.splitlines()[0]
