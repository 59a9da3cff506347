"""``clew context merge``: with an agent it is a run."""

import json

import pytest

from clew.cli import merging
from clew.cli.documents import Documents
from clew.cli.remembering import here
from clew.cli.session import Session
from clew.service import runs
from clew.service.engine import open_project
from clew.service.remembered import MergeAnswer
from clew.testing import ScriptedModel, one_node, write_project

SECTIONS = """\
providers: [{id: p, type: openai_compatible, base_url: "http://127.0.0.1:1/v1", prices: {input: 2000, output: 4000}}]
agents: [{id: clerk, model: p/m}]
"""
MERGE = ("context", "merge", "list", "--base", 1, "--text", "theirs\nb\n")


def said(text, why="as both say"):
    return {"conflicts": [{"number": 1, "text": text, "why": why}]}


@pytest.fixture
def shop(cli, tmp_path, monkeypatch):
    """``shop(*answers)``: in a project with a document of two versions, whose agent's model answers so."""
    folder = write_project(
        tmp_path / "shop", one_node("shop", "handlers:work") + SECTIONS, "def work(i, ctx):\n    return i\n"
    )
    monkeypatch.chdir(folder)
    for text in ("base\nb\n", "ours\nb\n"):
        assert cli("context", "add", "list", "--text", text, "--meta", "n=1").code == 0

    def answering(*answers):
        model = ScriptedModel(*answers)

        def opened(*args):
            model.engine = open_project(*args, models=model)
            return model.engine

        monkeypatch.setattr(merging, "open_project", opened)
        return model

    return answering


def versions(cli, name="list"):
    return [one.text for one in cli("context", "history", name, "--json").document(Documents).documents]


def test_an_agent_settles_the_conflict_in_a_run(cli, shop):
    model = shop(said("both"))
    answer = cli(*MERGE, "--agent", "clerk", "--json")
    assert answer.code == 0, answer
    merged = answer.document(MergeAnswer)
    assert (merged.merged, merged.version, merged.text, merged.by) == (True, 3, "both\nb\n", "clerk")
    assert [(one["ours"], one["text"], one["why"]) for one in merged.settled] == [("ours\n", "both", "as both say")]
    assert versions(cli) == ["base\nb\n", "ours\nb\n", "both\nb\n"]
    (line,) = cli("runs", "--json").json()["runs"]
    assert (line["run"], line["workflow"], line["status"]) == (merged.run, "shop", "success")
    assert float(line["cost"]) > 0
    assert merged.run in cli("costs", "--by", "run", "--json").out
    assert cli("replay", merged.run, "--handlers").code == 0
    assert len(model.seen) == 1
    again = cli(*MERGE, "--agent", "clerk")
    assert again.code == 1, "it is in conflict with what was settled, and the script is over"
    assert len(versions(cli)) == 3


def test_for_people(cli, shop):
    shop(said("both\x1b[31m", "fair\x1b[31m"), said("x"))
    done = cli(*MERGE, "--agent", "clerk")
    assert "list is merged, at version 3" in done.err
    assert "settled by clerk: fair [31m" in done.err
    assert "run r" in done.err
    assert "\x1b" not in done.err + done.out
    assert cli(*MERGE, "--agent", "clerk", "-q").err == ""


def test_conflicts_that_have_no_markers_are_told(cli, shop):
    shop()
    for text in ('{"a": 1, "b": 1}', '{"a": 2, "b": 1}'):
        cli("context", "add", "json", "--text", text, "--meta", "n=1", "--meta", "who=ann")
    cli("context", "add", "json", "--text", '{"a": 2, "b": 1}', "--meta", "n=2", "--meta", "who=ann")
    told = cli("context", "merge", "json", "--base", 1, "--text", '{"a": 3}', "--meta", "n=3")
    assert (told.code, told.out) == (1, '{"a": 2}\n')
    assert told.err.splitlines() == [
        "in conflict: json /a: ours 2, theirs 3, base 1",
        "in conflict: metadata /n: ours 2, theirs 3, base 1",
        "2 conflicts; nothing was written",
    ]
    gone = cli("context", "merge", "json", "--base", 1, "--text", '{"b": 1}')
    assert "in conflict: json /a: ours 2, theirs (no such key), base 1" in gone.err
    cli("context", "remove", "list")
    removed = cli(*MERGE)
    assert (removed.out, removed.err.splitlines()[0]) == (
        "theirs\nb\n\n", "in conflict: ours was removed, theirs is changed to theirs b"
    )  # fmt: skip


def test_many_conflicts_are_told_in_part(cli, shop):
    shop()
    for number in (1, 2):
        cli("context", "add", "many", "--text", json.dumps({f"k{place}": number for place in range(25)}))
    told = cli("context", "merge", "many", "--base", 1, "--text", json.dumps({f"k{place}": 3 for place in range(25)}))
    assert told.err.splitlines()[19:] == [
        "in conflict: json /k19: ours 2, theirs 3, base 1", "and 5 more: --json has all", "25 conflicts; nothing was written"
    ]  # fmt: skip


def test_metadata_is_merged_and_that_of_the_base_stays(cli, shop):
    shop()
    cli("context", "add", "list", "--text", "ours\nb\n", "--meta", "n=1", "--meta", "password=p4ss")
    assert cli("context", "merge", "list", "--base", 3, "--text", "ours\nb\nc\n", "--meta", "m=2").code == 0
    with here(Session(), {"scope": "", "project": None}) as scoped:
        assert scoped.collection.get("list").metadata == {"n": 1, "m": 2, "password": "p4ss"}
    assert cli("context", "merge", "list", "--base", 4, "--text", "x", "--meta", "m=3", "--agent", "clerk").code == 0
    assert cli("context", "get", "list", "--json").json()["metadata"]["m"] == 3


def test_without_a_conflict_nobody_is_asked(cli, shop):
    model = shop()
    merged = cli(*MERGE[:-1], "base\nb\nc\n", "--agent", "clerk", "--json").document(MergeAnswer)
    assert (merged.merged, merged.text, merged.settled, merged.by) == (True, "ours\nb\nc\n", [], "")
    assert not model.seen


def test_what_was_removed_and_what_is_new(cli, shop):
    shop(said(""))
    cli("context", "remove", "list")
    assert "list was removed, and stays so" in cli(*MERGE, "--agent", "clerk").err
    new = ("context", "merge", "new", "--base", 0, "--text", "x")
    assert "new is merged, at version 1" in cli(*new).err
    shop()
    assert cli("context", "merge", "newer", "--base", 0, "--text", "x", "--agent", "clerk").code == 0


@pytest.mark.parametrize(
    ("answer", "why"),
    [(said(None, "who decides?"), "conflict 1 is left open: who decides?"), (ScriptedModel.refusal("no"), "declined")],
)
def test_what_the_agent_cannot_settle_stays_a_conflict(cli, shop, answer, why):
    shop(answer, answer)
    told = cli(*MERGE, "--agent", "clerk")
    assert told.code == 1
    assert "<<<<<<< ours\nours\n||||||| base\nbase\n=======\ntheirs\n>>>>>>> theirs" in told.out
    assert "1 conflict; nothing was written" in told.err
    assert why in told.err
    found = cli(*MERGE, "--agent", "clerk", "--json")
    merged = found.document(MergeAnswer)
    assert (found.code, merged.merged, merged.version, merged.by) == (1, False, 2, "clerk")
    assert why in merged.why
    assert merged.conflicts[0]["theirs"] == "theirs\n"
    assert merged.run
    assert len(versions(cli)) == 2


@pytest.mark.parametrize(
    ("args", "said_"),
    [
        (("--agent", "clrek"), "did you mean 'clerk'?"),
        (("--agent", "clerk", "--scope", "project:other"), "nothing is kept in project:other"),
        (("--agent", "clerk", "--base", "7"), "no version 7"),
    ],
)
def test_wrong_use_makes_no_run(cli, shop, args, said_):
    shop()
    answer = cli(*MERGE, *args)
    assert answer.code == 2, answer
    assert said_ in answer.err
    assert not cli("runs", "--json").json()["runs"]


def test_outside_of_a_project(cli, shop, tmp_path, monkeypatch):
    shop(said("both"))
    cli("context", "add", "list", "--text", "base\n", "--scope", "global")
    monkeypatch.chdir(tmp_path)
    answer = cli(*MERGE, "--agent", "clerk", "--scope", "global")
    assert (answer.code, "whose agent?" in answer.err) == (2, True)
    merged = cli(*MERGE, "--agent", "clerk", "--scope", "global", "--project", "shop", "--json").document(MergeAnswer)
    assert (merged.merged, merged.version) == (True, 2)


@pytest.mark.parametrize("json", [False, True])
def test_a_run_that_is_paused_meanwhile_goes_on_later(cli, shop, json):
    async def paused(request):
        (host,) = model.engine.workspace.scheduler.hosts.values()
        await host.pause("asked")
        return said("both")

    model = shop(paused)
    answer = cli(*MERGE, "--agent", "clerk", *(["--json"] if json else []))
    assert answer.code == 3, answer
    why = answer.document(MergeAnswer).why if json else answer.err
    assert "clew resume r" in why
    assert "nothing was written" not in answer.err
    assert cli("resume").code == 0
    assert versions(cli)[-1] == "both\nb\n"


def test_a_run_that_is_cancelled_meanwhile(cli, shop):
    async def cancelled(request):
        (run,) = model.engine.workspace.scheduler.hosts
        await runs.cancel(model.engine.workspace, run, "enough", "ann")
        return said("both")

    model = shop(cancelled)
    answer = cli(*MERGE, "--agent", "clerk")
    assert answer.code == 1
    assert " cancelled: enough" in answer.err
    assert len(versions(cli)) == 2


def test_another_failure_than_a_conflict(cli, shop, monkeypatch):
    shop()
    monkeypatch.setattr(merging.merging, "_HANDLER", "clew.service.merging:nobody")
    answer = cli(*MERGE, "--agent", "clerk", "--json")
    assert answer.code == 1
    assert "no function 'nobody'" in answer.json()["error"]["message"]
    assert "clew show r" in answer.json()["error"]["hint"]
