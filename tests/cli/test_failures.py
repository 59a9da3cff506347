import stat
import sys

import click
import pytest

from clew.cli.failures import Interrupted, guarded, printable
from clew.core.errors import Conflict, Failure, JournalError, ManifestError, NotFound, Tampered, UsageError


def fails_with(error):
    def work():
        raise error

    return work


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("x"), 2),
        (NotFound("x"), 2),
        (Conflict("x"), 2),
        (ManifestError(["clew.yaml:1:1: broken"]), 2),
        (Failure("x"), 1),
        (JournalError("x"), 1),
        (Tampered("x"), 1),
        (click.UsageError("x"), 2),
        (KeyboardInterrupt(), 4),
        (click.Abort(), 4),
        (Interrupted("stopped", "go on", ("r1",)), 4),
        (click.exceptions.Exit(3), 3),
    ],
)
def test_each_kind_of_error_has_its_exit_code(error, code, capsys):
    assert guarded(fails_with(error), as_json=False, state=lambda: None) == code
    said = capsys.readouterr()
    assert said.out == ""
    assert "Traceback" not in said.err


def test_an_error_is_one_message_with_a_hint(capsys):
    guarded(fails_with(NotFound("no run r9", hint="clew runs lists them")), as_json=False, state=lambda: None)
    assert capsys.readouterr().err == "error: no run r9\n  hint: clew runs lists them\n"


def test_what_comes_from_outside_cannot_steer_the_terminal(capsys):
    guarded(fails_with(NotFound("no run \x1b[2Jr9\x07")), as_json=False, state=lambda: None)
    assert "\x1b" not in capsys.readouterr().err
    assert printable("a\x1b\x9bb\tc\n") == "a\\x1b\\x9bb\tc\n"


def test_an_unexpected_error_is_written_to_the_state_directory(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("CLEW_DEBUG", raising=False)
    assert guarded(fails_with(KeyError("secret")), as_json=False, state=lambda: str(tmp_path)) == 1
    said = capsys.readouterr().err
    (report,) = tmp_path.glob("crash-*.txt")
    assert str(report) in said
    assert "Traceback" not in said
    assert "secret" not in said
    assert "Traceback" in report.read_text()
    assert stat.S_IMODE(report.stat().st_mode) == 0o600


def test_debugging_shows_the_traceback(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("CLEW_DEBUG", "1")
    guarded(fails_with(KeyError("x")), as_json=False, state=lambda: str(tmp_path))
    assert "Traceback" in capsys.readouterr().err


def test_without_a_state_directory_the_report_goes_to_temporary_files(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    guarded(fails_with(KeyError("x")), as_json=False, state=lambda: str(tmp_path / "none"))
    assert len(list(tmp_path.glob("crash-*.txt"))) == 1


def test_nowhere_to_write_is_no_further_error(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "neither"))
    assert guarded(fails_with(KeyError("x")), as_json=True, state=lambda: str(tmp_path / "none")) == 1
    assert '"internal"' in capsys.readouterr().out


def test_manifest_problems_are_all_shown_and_are_in_the_document(capsys):
    error = ManifestError(["a.yaml:1:2: one", "a.yaml:3:4: two"])
    guarded(fails_with(error), as_json=False, state=lambda: None)
    assert capsys.readouterr().err.splitlines()[:2] == ["a.yaml:1:2: one", "a.yaml:3:4: two"]
    guarded(fails_with(error), as_json=True, state=lambda: None)
    assert '"problems"' in capsys.readouterr().out


def test_a_result_that_is_no_number_is_success():
    assert guarded(lambda: None, as_json=False, state=lambda: None) == 0
    assert guarded(lambda: 3, as_json=False, state=lambda: None) == 3
    assert sys.exc_info()[0] is None
