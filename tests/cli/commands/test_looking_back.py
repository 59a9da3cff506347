"""runs, show, tail, artifacts, diff, replay, fork."""

import msgspec
import pytest

from clew.cli import shapes
from clew.service.diff import RunDiff


@pytest.fixture
def run(cli, plain):
    return cli("run", plain, "--set", "n=4", "--set", "password=hunter2", "--json").json()["run"]


def seq_of(cli, run, kind, node=""):
    events = cli("show", run, "--events", "--json").document(shapes.EventList).events
    return next(e.seq for e in events if e.type == kind and e.node == node)


def test_no_runs_yet(cli):
    assert cli("runs").code == 0
    assert cli("runs", "--json").document(shapes.RunList).runs == []
    for command in ("show", "tail", "replay", "verify", "artifacts"):
        answer = cli(command)
        assert answer.code == 2
        assert "no runs" in answer.err


def test_the_run_list(cli, plain, run):
    second = cli("run", plain, "--set", "fail=1", "--json").json()["run"]
    listed = cli("runs", "--json").document(shapes.RunList)
    assert {r.run for r in listed.runs} == {run, second}
    assert [r.run for r in cli("runs", "--state-of", "failed", "--json").document(shapes.RunList).runs] == [second]
    first_page = cli("runs", "--limit", "1", "--json").document(shapes.RunList)
    assert first_page.more
    assert len(cli("runs", "--before", first_page.runs[0].run, "--json").json()["runs"]) == 1
    shown = cli("runs", "--limit", "1")
    assert "there are older ones" in shown.err
    assert cli("runs", "--workflow", "other", "--json").json()["runs"] == []
    assert "success" in cli("runs", run).out


def test_show_tells_the_story_and_masks_secrets(cli, run):
    answer = cli("show", run)
    assert answer.code == 0
    assert "✓ work  0" in answer.out
    assert "→ done" in answer.out
    assert "hunter2" not in answer.out
    full = cli("show", run[:6], "--node", "work", "--effects").out
    assert "effect double" in full
    assert "gave  8" in full
    assert cli("show", "--task", "0").code == 0
    document = cli("show", run, "--json").document(shapes.RunDoc)
    assert [n.node for n in document.nodes] == ["start", "work", "done"]
    assert document.nodes[1].effects[0].output == 8
    assert document.input["password"] == "[redacted]"


def test_show_one_thing(cli, run):
    assert cli("show", run, "--input", "--json").json()["n"] == 4
    assert cli("show", run, "--output", "--json").json()["double"] == 8
    assert '"double": 8' in cli("show", run, "--output").out or '"double":8' in cli("show", run, "--output").out
    for wrong in (("--node", "nowhere"), ("--task", "9"), ("--event", "999"), ("--at", "999"), ("--event", "0")):
        assert cli("show", run, *wrong).code == 2


def test_show_events_and_a_past_state(cli, run):
    events = cli("show", run, "--events")
    assert "RunStarted" in events.out
    seq = seq_of(cli, run, "NodeStarted", "work")
    one = cli("show", run, "--event", seq, "--json").document(shapes.EventDoc)
    assert (one.seq, one.type, one.node) == (seq, "NodeStarted", "work")
    first = cli("show", run, "--event", "1")
    assert "hunter2" not in first.out
    past = cli("show", run, "--at", seq, "--json").document(shapes.RunDoc)
    assert past.at == seq
    assert past.nodes[-1].state == "running"
    assert f"after event {seq}" in cli("show", run, "--at", seq).out


def test_tail_of_a_run_that_is_over(cli, run):
    lines = cli("tail", run, "--json").out.splitlines()
    documents = [msgspec.json.decode(line, type=shapes.EventDoc) for line in lines]
    assert [d.seq for d in documents] == list(range(1, len(lines) + 1))
    assert documents[-1].type == "RunFinished"
    assert "hunter2" not in cli("tail", run, "--payloads").out
    assert len(cli("tail", run, "--after", len(lines) - 1).out.splitlines()) == 1


def test_artifacts(cli, run):
    listed = cli("artifacts", run, "--json").document(shapes.ArtifactList)
    assert {a.kind for a in listed.artifacts} >= {"node_output", "effect_result"}
    only = cli("artifacts", run, "--node", "work", "--kind", "node_output", "--json").document(shapes.ArtifactList)
    assert [a.node for a in only.artifacts] == ["work"]
    assert "work" in cli("artifacts", run).out
    assert cli("artifacts", run, "--node", "none").code == 0


def test_replay(cli, run, plain, process):
    document = cli("replay", run, "--json").document(shapes.ReplayList)
    assert document.ok
    assert document.replays[0].verdict == "identical"
    assert "identical" in cli("replay", "--handlers").out
    text = (plain / "handlers.py").read_text()
    (plain / "handlers.py").write_text(text.replace('"got": input', '"got": "other"'))
    answer = process("replay", run, "--handlers").end()
    assert answer.code == 1
    assert "diverges" in answer.out
    assert "NodeCompleted" in answer.out
    diverged = process("replay", run, "--handlers", "--json").end().document(shapes.ReplayList)
    assert not diverged.ok
    assert diverged.replays[0].divergence.event.node == "work"


def test_fork_and_diff(cli, run):
    seq = seq_of(cli, run, "EffectFinished", "work")
    dry = cli("fork", run, "--at", seq, "--set", "=100", "--dry-run", "--json").document(shapes.ForkDoc)
    assert dry.run is None
    assert dry.preflight.kept == ["0/start#1"]
    assert len(dry.preflight.replayed) == 1
    assert len(cli("runs", "--json").json()["runs"]) == 1
    refused = cli("fork", run, "--at", seq)
    assert refused.code == 2
    assert "--yes" in refused.err
    made = cli("fork", run, "--at", seq, "--set", "=100", "--yes", "--json").document(shapes.ForkDoc)
    assert made.outcome.output["double"] == 100
    found = cli("diff", made.run, "--json").document(RunDiff)
    assert not found.same
    assert found.common == seq
    assert ("output.double", 8, 100) in [(p.path, p.a, p.b) for p in found.run]
    shown = cli("diff", made.run)
    assert shown.code == 0
    assert "8 → 100" in shown.out
    assert "hunter2" not in shown.out
    assert cli("diff", run, made.run, "--exit-code").code == 1
    assert cli("diff", run, run, "--exit-code").code == 0
    assert cli("diff", run).code == 2
    assert "promoted" in cli("fork", made.run, "--promote").out
    assert cli("fork", run, "--promote").code == 2
    assert cli("fork", made.run, "--promote", "--discard").code == 2
    assert cli("fork", "--promote").code == 2


def test_a_fork_with_other_manifests_that_is_run_later(cli, run, plain, process):
    text = (plain / "handlers.py").read_text()
    (plain / "handlers.py").write_text(text.replace("2 * input", "30 * input"))
    made = cli("fork", run, "--at", "1", "--project", plain, "--no-run", "--json").document(shapes.ForkDoc)
    assert made.outcome is None
    assert any("handlers" in change for change in made.preflight.changes)
    resumed = process("resume", made.run, "--json").end().document(shapes.Outcomes)
    assert resumed.runs[0].output["double"] == 120
    assert cli("fork", made.run, "--discard", "--json").document(shapes.Done).done == "discarded"


def test_a_fork_that_cannot_be(cli, run):
    assert cli("fork", run).code == 2
    assert cli("fork", run, "--at", "999").code == 2
    assert cli("fork", run, "--at", "2", "--set", "a=1", "--yes").code == 2
    assert cli("fork", run, "--at", "1", "--set", "nothing", "--yes").code == 2


def test_a_model_effect_says_who_answered_and_how_that_came_about(cli, tmp_path):
    (tmp_path / "asked").mkdir()
    (tmp_path / "asked" / "clew.yaml").write_text("""
workflow:
  id: asked
  nodes:
    - {id: start, kind: deterministic, role: start}
    - {id: think, kind: agent, role: linear, agent: thinker}
    - {id: done, kind: deterministic, role: exit}
  edges: [{from: start, to: think}, {from: think, to: done}]
models: {m: {use: [one/x, two/x]}}
providers: [{id: one, type: offline}, {id: two, type: offline}]
agents: [{id: thinker, model: m}]
""")
    run = cli("run", tmp_path / "asked", "--input", '"hello"', "--json").json()["run"]
    shown = cli("show", run, "--effects").out
    assert "by one/x" in shown
    assert "m: one/x is declared first" in shown
    document = cli("show", run, "--json").document(shapes.RunDoc)
    (asked,) = next(node for node in document.nodes if node.node == "think").effects
    assert (asked.agent, asked.by) == ("thinker", "one/x")
    assert asked.notes["gateway"]["tries"][0]["code"] == "ok"
