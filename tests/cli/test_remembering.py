"""Which memory a command means, and what it is told."""

import io
import sys
from pathlib import Path

import pytest

from clew.cli.remembering import despite, filter_of, here, meant, metadata_of, said
from clew.cli.session import Session
from clew.core.errors import ManifestError, NotFound, UsageError
from clew.manifest.plan import load

NOWHERE = {"scope": "", "project": None}


@pytest.fixture
def session(tmp_path):
    made = Session()
    made.state = str(tmp_path / "state")
    return made


def scope_of(session, **where):
    with here(session, NOWHERE | where, "create") as scoped:
        return scoped.scope


def test_a_scope_is_named(session):
    assert scope_of(session, scope="global") == "global"
    assert scope_of(session, scope="task:r1") == "task:r1"


def test_nothing_is_guessed(session):
    with pytest.raises(UsageError, match="which memory"):
        scope_of(session)
    with pytest.raises(UsageError, match="which project"):
        scope_of(session, scope="project")


def test_a_project_is_named_or_here(session, plain, monkeypatch):
    assert scope_of(session, project=plain) == "project:plain"
    assert scope_of(session, project=plain, scope="global") == "global"
    monkeypatch.chdir(plain)
    assert scope_of(session) == scope_of(session, scope="project") == "project:plain"
    assert scope_of(session, scope="global") == "global"


def test_a_project_that_is_none_is_said(session, tmp_path):
    with pytest.raises((UsageError, ManifestError)):
        scope_of(session, project=tmp_path / "nowhere")


def test_looking_makes_nothing(session, tmp_path):
    with pytest.raises(NotFound), here(session, NOWHERE | {"scope": "global"}):
        pass
    assert not (tmp_path / "state").exists()


def test_without_a_project_that_is_broken_unless_it_was_named(session, plain, monkeypatch, capsys):
    (plain / "clew.yaml").write_text("workflow: [")
    monkeypatch.chdir(plain)
    tried = []

    def work(project):
        tried.append(project)
        if project is not None:
            load(project)
        return "done"

    assert despite(session, NOWHERE, work) == "done"
    assert tried == [Path(), None]
    assert "clew check" in capsys.readouterr().err
    with pytest.raises(ManifestError):
        despite(session, NOWHERE | {"project": Path()}, work)


def test_scope_and_project_for_a_command_line_to_copy():
    assert meant(NOWHERE) == []
    assert meant({"scope": "global", "project": Path("a b")}) == ["--scope", "global", "--project", "a b"]


def test_a_filter_of_several_options():
    kv, whole = {"op": "eq", "args": ["n", 1]}, {"term": {"m": 2}}
    assert filter_of({"filter_kv": (), "filter_json": None}) is None
    assert filter_of({"filter_kv": ("n=1",), "filter_json": None}) == kv
    assert filter_of({"filter_kv": ("n=1",), "filter_json": '{"term": {"m": 2}}'}) == {"op": "and", "args": [kv, whole]}
    with pytest.raises(UsageError, match="--filter-json"):
        filter_of({"filter_kv": (), "filter_json": "{"})


def test_metadata():
    assert metadata_of(("n=1", "s=x=y", 'l=["a"]')) == {"n": 1, "s": "x=y", "l": ["a"]}
    for wrong in ("n", "=1"):
        with pytest.raises(UsageError, match="it is KEY=VALUE"):
            metadata_of((wrong,))


def given(monkeypatch, data):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), "utf-8", errors="surrogateescape"))
    return said(None)


def test_stdin_is_read_as_text(monkeypatch):
    assert given(monkeypatch, "caf\u00e9\r\none\rtwo\n".encode()) == "caf\u00e9\none\ntwo\n"
    with pytest.raises(UsageError, match=r"stdin is no UTF-8 text: .* at byte 3"):
        given(monkeypatch, b"caf\xe9")


def test_what_is_no_text_is_no_text():
    assert said("caf\u00e9\r\n") == "caf\u00e9\r\n"
    with pytest.raises(UsageError, match=r"--text is no UTF-8 text: .* at byte 3"):
        said("caf\udce9")
