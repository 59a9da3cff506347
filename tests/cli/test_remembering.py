"""Which memory a command means."""

import pytest

from clew.cli.remembering import here
from clew.cli.session import Session
from clew.core.errors import ManifestError, NotFound, UsageError

NOWHERE = {"scope": "", "project": None}


@pytest.fixture
def session(tmp_path):
    made = Session()
    made.state = str(tmp_path / "state")
    return made


def meant(session, **where):
    with here(session, NOWHERE | where, create=True) as scoped:
        return scoped.scope


def test_a_scope_is_named(session):
    assert meant(session, scope="global") == "global"
    assert meant(session, scope="task:r1") == "task:r1"


def test_nothing_is_guessed(session):
    with pytest.raises(UsageError, match="which memory"):
        meant(session)
    with pytest.raises(UsageError, match="which project"):
        meant(session, scope="project")


def test_a_project_is_named_or_here(session, plain, monkeypatch):
    assert meant(session, project=plain) == "project:plain"
    assert meant(session, project=plain, scope="global") == "global"
    monkeypatch.chdir(plain)
    assert meant(session) == meant(session, scope="project") == "project:plain"
    assert meant(session, scope="global") == "global"


def test_a_project_that_is_none_is_said(session, tmp_path):
    with pytest.raises((UsageError, ManifestError)):
        meant(session, project=tmp_path / "nowhere")


def test_looking_makes_nothing(session, tmp_path):
    with pytest.raises(NotFound), here(session, NOWHERE | {"scope": "global"}):
        pass
    assert not (tmp_path / "state").exists()
