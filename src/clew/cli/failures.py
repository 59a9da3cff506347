"""From exceptions to a message and an exit code: the boundary around every command.

0 success (partial too) · 1 the run failed, or what was asked could not be done · 2 wrong use or manifest · 3 waiting for a
human, or paused · 4 interrupted.
"""

import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from clew.cli.session import tell
from clew.core.errors import ClewError, ManifestError, UsageError

SUCCESS, FAILED, WRONG_USE, WAITING, INTERRUPTED = range(5)


class Interrupted(Exception):
    """SIGINT, SIGTERM or SIGHUP, after everything was put down in order. ``runs``: those that can go on."""

    def __init__(self, message: str, hint: str = "", runs: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.message, self.hint, self.runs = message, hint, runs


def guarded(work: Callable[[], Any], *, as_json: bool, state: Callable[[], str | None]) -> int:
    """Do ``work`` and return the exit code; nothing that it raises leaves but as a message."""
    try:
        code = work()
    except click.exceptions.Exit as ending:
        return ending.exit_code
    except (KeyboardInterrupt, click.Abort):
        return _report("interrupted", "interrupted", "", INTERRUPTED, as_json=as_json)
    except Interrupted as stop:
        more = {"runs": list(stop.runs)}
        return _report("interrupted", stop.message, stop.hint, INTERRUPTED, as_json=as_json, more=more)
    except click.ClickException as error:
        return _misuse(error, as_json=as_json)
    except ManifestError as error:
        return _manifest(error, as_json=as_json)
    except ClewError as error:
        code = WRONG_USE if isinstance(error, UsageError) else FAILED
        return _report(error.code, error.message, error.hint, code, as_json=as_json)
    except Exception as error:
        return _crash(error, as_json=as_json, state=state())
    return code if isinstance(code, int) else SUCCESS


def _misuse(error: click.ClickException, *, as_json: bool) -> int:
    context = error.ctx if isinstance(error, click.UsageError) else None
    hint = f"see {context.command_path} --help" if context else ""
    return _report("usage", error.format_message(), hint, WRONG_USE, as_json=as_json)


def _manifest(error: ManifestError, *, as_json: bool) -> int:
    problems: list[Any] = error.problems
    if not as_json:
        for problem in problems:
            tell(printable(str(problem)))
    count = f"{len(problems)} problem{'s' if len(problems) != 1 else ''}"
    more = {"problems": [str(p) for p in problems]}
    message = f"the project has {count}; nothing was run"
    return _report(error.code, message, "clew check shows them with warnings", WRONG_USE, as_json=as_json, more=more)


def _report(
    code: str, message: str, hint: str, exit_code: int, *, as_json: bool, more: dict[str, Any] | None = None
) -> int:
    if as_json:
        document = {"error": {"code": code, "message": message, "hint": hint, **(more or {})}}
        try:
            sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=2) + "\n")
            sys.stdout.flush()
        except OSError:
            tell(printable(f"error: {message}"))
        return exit_code
    word = "" if exit_code == INTERRUPTED else "error: "
    tell(printable(f"{word}{message}"))
    if hint:
        tell(printable(f"  hint: {hint}" if word else f"  {hint}"))
    return exit_code


def _crash(error: Exception, *, as_json: bool, state: str | None) -> int:
    if os.environ.get("CLEW_DEBUG"):
        traceback.print_exception(error)
    where = _write_crash(error, state)
    message = f"something went wrong inside Clew ({type(error).__name__}); what was recorded is safe"
    place = f"the traceback is in {where}; " if where else ""
    return _report("internal", message, f"{place}CLEW_DEBUG=1 shows it", FAILED, as_json=as_json)


def _write_crash(error: Exception, state: str | None) -> Path | None:
    """The traceback, readable by the user alone: in the state directory if there is one, else among temporary files."""
    text = "".join(traceback.format_exception(error))
    name = f"crash-{time.strftime('%Y%m%dT%H%M%S')}-{os.getpid()}.txt"
    kept = Path(state or os.environ.get("CLEW_STATE") or ".clew")
    directories = [kept, Path(os.environ.get("TMPDIR") or "/tmp")]  # noqa: S108 - created exclusively, mode 0600
    for directory in directories:
        path = directory / name
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except OSError:
            continue
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
        return path
    return None


def printable(text: str) -> str:
    """Text from outside without what could steer a terminal: control characters become visible escapes."""
    if text.isprintable():
        return text
    return "".join(c if c in "\n\t" or c.isprintable() else c.encode("unicode_escape").decode() for c in text)
