"""``clew show --reasoning`` (G5)."""

import pytest

from clew import Engine
from clew.cli.reasoning import ReasoningDoc
from clew.testing import ScriptedModel, write_project

PROJECT = """
    workflow:
      id: thinking
      nodes:
        - {id: start, kind: deterministic, role: start}
        - {id: plain, kind: deterministic, role: linear}
        - {id: think, kind: agent, role: linear, agent: writer, tools: [look], retry: {max_attempts: 2, backoff: {initial: 1ms}}}
        - {id: done, kind: deterministic, role: exit}
      edges: [{from: start, to: plain}, {from: plain, to: think}, {from: think, to: done}]
    agents: [{id: writer, model: fast, tools: [look], schema_out: {type: object}, corrections: 1}]
    models: {fast: {use: [p/m]}}
    providers: [{id: p, type: openai, prices: {input: 1, output: 1}}]
    tools: [{id: look, handler: "handlers:look", inputs: {type: object}, repeat_safe: true}]
"""


@pytest.fixture
def thinking(tmp_path):
    """``thinking(*answers)``: a run of the project with these answers of its model."""
    directory = write_project(tmp_path / "thinking", PROJECT, "async def look(args, context):\n    return args\n")

    def run(*answers):
        with Engine.from_config_dir(directory, tmp_path / "state", models=ScriptedModel(*answers)) as engine:
            return engine.run("go").run_id

    return run


SCRIPT = (
    ["First I look.\nThen I see.", ScriptedModel.call("look", password="hunter2")],
    "wrong sk-abcdefghijklmnopqrstuvwxyz012345", {"n": 1},
)  # fmt: skip


def test_turns_are_told_with_secrets_masked(cli, thinking):
    run = thinking(*SCRIPT)
    answer = cli("show", run, "--reasoning")
    assert answer.code == 0
    lines = [line.strip() for line in answer.out.splitlines()]
    assert "think  0" in lines[0]
    assert lines[1].startswith("writer  fast by p/m  ")
    assert "$0.00" in lines[1]
    assert lines[2:6] == [
        "thought     First I look.", "Then I see.", 'action      look {"password":"[redacted]"}',
        'observation look {"password":"[redacted]"}',
    ]  # fmt: skip
    assert [line.split()[0] for line in lines[6:]] == ["writer", "answer", "correction", "writer", "answer"]
    assert "hunter2" not in answer.out
    assert "sk-abcdef" not in answer.out


def test_as_json_and_of_one_node(cli, thinking):
    run = thinking(*SCRIPT)
    document = cli("show", run, "--reasoning", "--json").document(ReasoningDoc)
    (node,) = document.nodes
    assert [len(t.steps) for t in node.turns] == [3, 2, 1]
    assert (node.node, node.state, node.turns[0].deployment) == ("think", "completed", "p/m")
    other = cli("show", run, "--reasoning", "--node", "plain", "--json").document(ReasoningDoc)
    assert other.nodes == []
    assert "No model was asked." in cli("show", run, "--reasoning", "--node", "plain").out
    assert cli("show", run, "--reasoning", "--node", "nope").code == 2


def test_failures_and_further_attempts(cli, thinking):
    out = cli("show", thinking(*["x"] * 9), "--reasoning").out
    assert "attempt 2" in out
    assert out.count("correction") == 2


def test_a_long_text_is_cut(cli, thinking):
    out = cli("show", thinking("x" * 5000, {"n": 1}), "--reasoning").out
    assert max(len(line) for line in out.splitlines()) < 2100


def test_a_pool_s_choice_has_no_model(cli, tmp_path, thinking):
    path = tmp_path / "thinking" / "clew.yaml"
    text = (
        path.read_text()
        .replace("agent: writer", "agent: team")
        .replace("agents: [", "agents: [{id: team, pool: [writer]}, ")
    )
    path.write_text(text)
    lines = [line.strip() for line in cli("show", thinking({"n": 1}), "--reasoning").out.splitlines()]
    assert lines[1] == "team"
    assert lines[2].startswith("choice      writer")
