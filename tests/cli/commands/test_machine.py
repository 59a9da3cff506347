"""doctor, version, queue."""

import pytest

from clew.cli import shapes
from clew.cli.commands.queue import QueueDoc


def test_versions(cli):
    document = cli("version", "--json").document(shapes.VersionDoc)
    assert cli("version").out.startswith(f"clew {document.clew} ")


@pytest.mark.sandbox
def test_a_machine_is_examined(cli, plain):
    cli("run", plain)
    answer = cli("doctor", "--json")
    document = answer.document(shapes.DoctorDoc)
    assert answer.code == {"healthy": 0, "unhealthy": 1, "degraded": 2}[document.status]
    assert {c.name for c in document.checks} >= {
        "python",
        "sqlite",
        "disk",
        "state",
        "sandbox",
        "sandbox.memory",
        "languages",
    }
    assert "python" in cli("doctor").out


def test_a_state_directory_that_cannot_be_is_unhealthy(cli, tmp_path):
    state = tmp_path / "bad"
    state.mkdir()
    (state / "journal.db").write_text("no database at all, and long enough to be looked at" * 50)
    answer = cli("doctor", "--state", state, "--json")
    assert answer.code == 1
    assert answer.document(shapes.DoctorDoc).status == "unhealthy"


def test_the_queue(cli, plain, asking):
    assert "empty" in cli("queue").err
    assert "empty" in cli("queue", "--run").err or cli("queue", "--run").code == 2
    first = cli("queue", "add", plain, "--set", "n=1", "--json").document(shapes.Done)
    second = cli("queue", "add", asking, "--json").document(shapes.Done)
    assert "queued" in cli("queue", "add", plain, "--set", "fail=1").out
    listed = cli("queue", "--json").document(QueueDoc)
    assert [r.run for r in listed.runs][:1] == [first.run]
    assert len(listed.runs) == 3
    assert first.run in cli("queue").out
    driven = cli("queue", "--run", "--max", "2", "--json")
    assert driven.code == 1
    outcomes = {o.run: o for o in driven.document(shapes.Outcomes).runs}
    assert outcomes[first.run].status == "success"
    assert outcomes[second.run].waiting
    assert cli("queue", "--json").document(QueueDoc).runs == []
    assert cli("queue", "nonsense").code == 2
