import io
import os
import sys

from clew.cli.session import Session, prepare_streams, tell, wants_json


def test_hints_can_be_copied():
    session = Session()
    assert session.hint("show", "r 1") == "clew show 'r 1'"
    session.state = "/a b"
    assert session.hint("show", "r1") == "clew --state '/a b' show r1"


def test_quiet_says_nothing(capsys):
    session = Session()
    session.quiet = True
    session.say("x")
    session.write("y")
    assert capsys.readouterr() == ("y", "")


def test_json_is_known_before_parsing():
    assert wants_json(["run", "--json"])
    assert not wants_json(["run", "--", "--json"])


def test_a_reader_that_has_gone(monkeypatch):
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream:
        monkeypatch.setattr("sys.stdout", stream)
        session = Session()
        session.write("x" * 100_000)
        assert session.closed
        session.write("more")


def test_closed_streams_go_nowhere(monkeypatch):
    monkeypatch.setattr("sys.stdout", None)
    gone = io.StringIO()
    gone.close()
    monkeypatch.setattr("sys.stderr", gone)
    tell("lost")
    prepare_streams()
    tell("lost")
    sys.stdout.write("lost")
    sys.stdout.close()
    sys.stderr.close()


def test_characters_that_the_encoding_lacks_are_replaced(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr("sys.stdout", stream)
    prepare_streams()
    Session().write("✓")
    stream.seek(0)
    assert stream.read() == "?"
