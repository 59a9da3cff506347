"""clew status, and the queue's commands: how it stands, dead letters, queueing again (W13)."""

import json

import pytest

from clew.cli import shapes
from clew.cli.commands.queue import LetterList, QueueDoc
from clew.cli.commands.status import StatusDoc

NOTHING = {"queued": 0, "workers": 0, "stopped": True, "running": 0, "interrupted": 0, "waiting": 0, "dead": 0}


def test_where_nothing_is_kept_everything_is_nought(cli):
    assert cli("status", "--json").json() == {"ok": True, **NOTHING}
    assert cli("queue", "--json").json() == {"ok": True, **NOTHING, "runs": [], "more": False}
    assert cli("queue", "--dead", "--json").json() == {"letters": []}
    assert cli("queue", "--dead").err == "there are no dead letters\n"
    assert cli("queue").err == "the queue is empty\n"


def test_how_it_stands(cli, plain, asking):
    cli("run", asking, "--input", "{}")
    for n in range(2):
        cli("queue", "add", plain, "--set", f"n={n}")
    cli("queue", "add", plain, "--set", "fail=true")
    queued = cli("queue", "--json").document(QueueDoc)
    assert (queued.queued, queued.waiting, queued.stopped) == (3, 1, True)
    assert [line.workflow for line in queued.runs] == ["plain"] * 3
    assert queued.runs[0].created <= queued.runs[-1].created
    outcomes = cli("queue", "--run", "--json")
    assert outcomes.code == 1
    assert [o["status"] for o in outcomes.json()["runs"]] == ["success", "success", "failure"]
    assert cli("status", "--json").document(StatusDoc) == StatusDoc(
        ok=True, queued=0, workers=0, stopped=True, running=0, interrupted=0, waiting=1, dead=1
    )
    shown = cli("status").out
    assert "dead letters     1   clew queue --dead\n" in shown
    assert "queued           0\n" in shown


def test_dead_letters_are_shown_and_queued_again(cli, plain):
    run = cli("queue", "add", plain, "--set", "fail=true", "--json").json()["run"]
    cli("queue", "--run")
    (letter,) = cli("queue", "--dead", "--json").document(LetterList).letters
    assert (letter.run.run, letter.error["code"]) == (run, "error")
    shown = cli("queue", "--dead").out
    assert "RuntimeError: as told" in shown
    assert f"clew queue --requeue {run}" in shown
    again = cli("queue", "--requeue", run[:8], "--json").document(shapes.Done)
    assert again.run != run
    assert cli("queue", "--dead", "--json").json() == {"letters": []}
    twice = cli("queue", "--requeue", run)
    assert twice.code == 2
    assert again.run in twice.err
    assert cli("queue", "--requeue", again.run).code == 2


def test_secrets_in_letters_are_masked(cli, plain):
    (plain / "handlers.py").write_text('async def work(input, ctx):\n    raise RuntimeError("key sk-" + "a1B2" * 12)\n')
    cli("queue", "add", plain)
    cli("queue", "--run")
    assert "a1B2a1B2" not in cli("queue", "--dead").out + cli("queue", "--dead", "--json").out


def test_a_run_that_cannot_be_driven_is_told_and_the_others_go_on(cli, plain, tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    for file in plain.iterdir():
        (gone / file.name).write_bytes(file.read_bytes())
    lost = cli("queue", "add", gone, "--json").json()["run"]
    cli("queue", "add", plain, "--set", "n=1")
    gone.rename(tmp_path / "elsewhere")
    answer = cli("queue", "--run", "--json")
    found = answer.document(shapes.Outcomes)
    assert (answer.code, len(found.runs)) == (2, 1)
    assert [(r.run, r.code) for r in found.refused] == [(lost, "not_found")]
    assert f"run {lost}: " in cli("queue", "--run").err


@pytest.mark.parametrize("args", [("--run", "--dead"), ("--dead", "--requeue", "r"), ("--run", "--requeue", "r")])
def test_one_thing_at_a_time(cli, args):
    answer = cli("queue", *args)
    assert answer.code == 2
    assert "exclude each other" in answer.err


def test_a_full_queue_says_so(cli, plain):
    manifest = plain / "clew.yaml"
    manifest.write_text(manifest.read_text() + json.dumps({"scheduler": {"max_queue_size": 1}})[1:-1] + "\n")
    head = cli("queue", "add", plain, "--json").json()["run"]
    answer = cli("queue", "add", plain, "--json")
    assert answer.code == 2
    assert answer.json()["error"]["code"] == "queue_full"
    names = [e["fact"].get("name") for e in cli("show", head, "--events", "--json").json()["events"]]
    assert "queue_full" in names
