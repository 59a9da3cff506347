"""What every command is given: how to answer (``--json``), how much to say (``-q``), where state lies (``--state``)."""

import os
import shlex
import sys
from typing import Any, TextIO

import click


class Session:
    """The options that all commands share, and the only way out to stdout and stderr."""

    def __init__(self) -> None:
        self.json = False
        self.quiet = False
        self.state: str | None = None
        self.closed = False
        """stdout's reader has gone."""

    def hint(self, *words: str) -> str:
        """A command line that the user may copy, for the same state directory."""
        return shlex.join(("clew", *(("--state", self.state) if self.state else ()), *words))

    def write(self, text: str) -> None:
        """Text to stdout, as it is. A reader that has gone is noticed, not reported."""
        if self.closed:
            return
        try:
            sys.stdout.write(text)
            sys.stdout.flush()
        except BrokenPipeError:
            self.hang_up()

    def say(self, text: str) -> None:
        """One line to stderr: progress and advice, nothing of the result."""
        if not self.quiet:
            tell(text)

    def hang_up(self) -> None:
        """stdout is of no use any more; what is still written to it goes nowhere."""
        self.closed = True
        silence(sys.stdout)


def tell(text: str) -> None:
    """One line to stderr, whatever ``-q`` says; nothing happens where stderr is gone."""
    try:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()
    except (BrokenPipeError, ValueError):
        silence(sys.stderr)


def silence(stream: TextIO) -> None:
    """Point the stream's descriptor at nothing, so that the flush at exit does not fail."""
    try:
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, stream.fileno())
        os.close(sink)
    except (OSError, ValueError):
        return


def prepare_streams() -> None:
    """Streams that are closed go nowhere; characters that the terminal's encoding lacks are replaced, never an error."""
    for name in ("stdout", "stderr"):
        stream: Any = getattr(sys, name)
        if stream is None or stream.closed:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123 - lives as long as the process
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def wants_json(args: list[str]) -> bool:
    """Whether ``--json`` is among the arguments: looked at before they are parsed, for errors of parsing itself."""
    return "--json" in (args[: args.index("--")] if "--" in args else args)


pass_session = click.make_pass_decorator(Session, ensure=True)
