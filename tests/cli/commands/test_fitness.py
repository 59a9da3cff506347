import pytest

from clew.cli.commands.fitness import FitnessList
from clew.testing import write_project

PROJECT = """
workflow:
  id: letters
  nodes:
    - {id: start, kind: deterministic, role: start}
    - {id: write, kind: agent, role: linear, agent: writers}
    - {id: done, kind: deterministic, role: exit}
  edges: [{from: start, to: write}, {from: write, to: done}]
providers: [{id: local, type: offline}]
agents:
  - {id: one, model: local/a, parameters: {offline: {answer: "{{input.name}}"}}}
  - {id: two, model: local/b, parameters: {offline: {answer: "{{input.name}}"}}}
  - {id: writers, pool: [one, two]}
"""


@pytest.fixture
def letters(tmp_path):
    return write_project(tmp_path / "letters", PROJECT)


def test_nothing_is_recorded(cli, plain):
    assert "nothing is recorded" in cli("fitness").err
    cli("run", plain)
    assert cli("fitness", "--json").document(FitnessList).agents == []


def test_agents_with_their_models(cli, letters):
    for n in range(4):
        assert cli("run", letters, "--set", "name=x", "--set", f"n={n}").code == 0
    assert cli("run", letters, "--set", "n=9").code == 1
    found = cli("fitness", "--json").document(FitnessList).agents
    assert sum(one.ok for one in found) == 4
    assert sum(one.failed for one in found) == 1
    assert {one.agent for one in found} <= {"one", "two"}
    assert all(one.workflow == "letters" and one.cost == "0" for one in found)
    shown = cli("fitness").out
    assert "letters" in shown
    assert "100 %" in shown or "0 %" in shown
    assert cli("fitness", "--agent", "nobody", "--json").json() == {"agents": []}
    assert cli("fitness", "--workflow", "letters").out == shown
