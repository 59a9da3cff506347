"""approve, reject, resume, cancel."""

import stat
from pathlib import Path

import pytest

from clew.cli import shapes


@pytest.fixture
def asked(cli, asking):
    return cli("run", asking, "--set", "n=1", "--set", "token=tell-nobody", "--json").document(shapes.Outcome)


def editor(tmp_path: Path, script: str) -> dict[str, str]:
    path = tmp_path / "editor"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return {"EDITOR": str(path), "VISUAL": str(path)}


def test_approval_then_answer(cli, asked):
    answer = cli("approve", asked.run, "--why", "fine", "--by", "ann", "--digest", asked.waiting[0].digest[:12])
    assert answer.code == 3
    assert "How many?" in answer.out
    assert "--value JSON" in answer.out
    wrong = cli("approve", asked.run, "--value", '"many"')
    assert wrong.code == 2
    assert "does not fit" in wrong.err
    assert cli("approve", asked.run).code == 2
    done = cli("approve", asked.run, "--value", "7", "--json").document(shapes.Outcome)
    assert done.status == "success"
    assert done.output["answer"] == 7
    effects = [
        e for n in cli("show", asked.run, "--json").json()["nodes"] for e in n["effects"] if e["name"] == "approval"
    ]
    assert effects[0]["output"]["by"] == "ann"
    assert effects[0]["output"]["why"] == "fine"


def test_the_only_run_that_asks_needs_no_name(cli, asked):
    assert cli("approve").code == 3
    assert cli("approve", "--value", "1").code == 0
    nothing = cli("approve")
    assert nothing.code == 2
    assert "no run asks" in nothing.err
    assert cli("approve", asked.run).code == 2


def test_several_runs_that_ask_need_one(cli, asking, asked):
    cli("run", asking)
    answer = cli("approve")
    assert answer.code == 2
    assert asked.run in answer.err


def test_a_digest_that_is_not_the_shown_one_decides_nothing(cli, asked):
    assert cli("approve", asked.run, "--digest", "0" * 12).code == 2
    assert cli("approve", asked.run, "--digest", "0").code == 2
    assert cli("approve", asked.run, "--key", "0/none#1/1").code == 2
    assert cli("show", asked.run, "--json").json()["waiting"]


def test_rejection_reaches_the_run(cli, asked):
    answer = cli("reject", asked.run, "--why", "not today", "--json").document(shapes.Outcome)
    assert answer.status == "failure"
    assert "not today" in str(cli("show", asked.run, "--json").json()["nodes"])


def test_edited_arguments_keep_what_was_masked(cli, asked, tmp_path):
    env = editor(tmp_path, 'grep -q redacted "$1" || exit 1; sed -i "s/\\"n\\": 1/\\"n\\": 5/" "$1"')
    assert cli("approve", asked.run, "--edit", env=env).code == 3
    sign = next(n for n in cli("show", asked.run, "--node", "sign", "--json").json()["nodes"])
    assert sign["output"]["n"] == 5
    cli("approve", asked.run, "--value", "1")
    assert "tell-nobody" not in cli("show", asked.run, "--json").out
    journal = (Path("state") / "journal.db").read_bytes() + (Path("state") / "journal.db-wal").read_bytes() if (
        Path("state") / "journal.db-wal"
    ).exists() else (Path("state") / "journal.db").read_bytes()  # fmt: skip
    assert b'"n":5,"token":"tell-nobody"' in journal


def test_an_editor_that_gives_nothing_back_decides_nothing(cli, asked, tmp_path):
    assert cli("approve", asked.run, "--edit", env=editor(tmp_path, ': > "$1"')).code == 2
    assert cli("approve", asked.run, "--edit", env=editor(tmp_path, 'echo "{" > "$1"')).code == 2
    assert cli("approve", asked.run, "--edit", env=editor(tmp_path, "exit 3")).code == 2
    assert cli("approve", asked.run, "--edit", "--value", "1").code == 2
    assert cli("show", asked.run, "--json").json()["waiting"]


def test_an_unchanged_edit_is_a_plain_approval(cli, asked, tmp_path):
    assert cli("approve", asked.run, "--edit", env=editor(tmp_path, "true")).code == 3
    sign = cli("show", asked.run, "--node", "sign", "--json").json()["nodes"][0]
    assert "value" not in sign["effects"][0]["output"]


def test_resume_leaves_alone_what_only_waits_for_a_human(cli, asked):
    before = cli("show", asked.run, "--json").json()["run"]["events"]
    answer = cli("resume", "--json")
    assert answer.code == 0
    assert answer.document(shapes.Outcomes).runs == []
    assert cli("show", asked.run, "--json").json()["run"]["events"] == before
    named = cli("resume", asked.run)
    assert named.code == 3
    assert "Sign it?" in named.out


def test_resume_of_what_is_over_or_unknown(cli, plain):
    run = cli("run", plain, "--json").json()["run"]
    assert cli("resume", run).code == 2
    assert cli("resume", "r0000").code == 2
    assert cli("resume").code == 0


def test_changed_handlers_need_to_be_accepted(cli, process, plain, tmp_path):
    running = process("run", plain, "--set", f"until={tmp_path / 'go'}")
    running.until("✓ start")
    running.child.terminate()
    assert running.end().code == 4
    (tmp_path / "go").touch()
    run = cli("runs", "--json").json()["runs"][0]["run"]
    with (plain / "handlers.py").open("a") as file:
        file.write("\n# changed\n")
    refused = cli("resume", run)
    assert refused.code == 2
    assert "--accept" in refused.err
    many = cli("resume", "--json")
    assert many.code == 2
    assert many.document(shapes.Outcomes).refused[0].code == "source_changed"
    assert cli("resume", run, "--accept").code == 0


def test_cancel(cli, asked):
    done = cli("cancel", asked.run, "--why", "enough", "--json").document(shapes.Done)
    assert (done.run, done.done, done.told) == (asked.run, "cancelled", False)
    again = cli("cancel", asked.run)
    assert again.code == 2
    assert "has ended" in again.err
    assert cli("cancel").code == 2
    assert cli("runs", "--json").document(shapes.RunList).runs[0].state == "cancelled"


def test_a_question_of_a_child_run_is_answered_through_its_parent(cli, tmp_path):
    for name, middle, handlers in (
        ("kid", '{id: mid, kind: deterministic, role: linear, approval: {message: "Kid, sure?"}}', ""),
        ("par", '{id: mid, kind: deterministic, role: linear, handler: "handlers:sub"}', CALLS),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "clew.yaml").write_text(CHAIN.format(name=name, middle=middle))
        (tmp_path / name / "handlers.py").write_text(handlers)
    asked = cli("run", tmp_path / "par", "--input", "3", "--json")
    assert asked.code == 3
    outcome = asked.document(shapes.Outcome)
    assert outcome.waiting[0].run.startswith(outcome.run + ".")
    done = cli("approve", outcome.run, "--json")
    assert done.code == 0
    assert done.document(shapes.Outcome).output["output"] == 3


CALLS = 'async def sub(input, ctx):\n    return await ctx.run("../kid", input)\n'
CHAIN = """\
workflow:
  id: {name}
  nodes:
    - {{id: start, kind: deterministic, role: start}}
    - {middle}
    - {{id: done, kind: deterministic, role: exit}}
  edges: [{{from: start, to: mid}}, {{from: mid, to: done}}]
"""
