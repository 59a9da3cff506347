"""What people read: consoles, glyphs for states, durations, money, values; fit for pipes and narrow or plain terminals."""

import sys
import time
from typing import Any

import msgspec
from rich.console import Console
from rich.text import Text

from clew.cli.failures import printable
from clew.cli.session import silence

PIPE_WIDTH = 10_000
"""Where nobody looks at columns, nothing is cut."""

_WIDTH = 1_000
"""Characters of one line of a value."""

_GLYPHS = {
    "completed": ("✓", "ok", "green"),
    "success": ("✓", "ok", "green"),
    "partial": ("◑", "~~", "yellow"),
    "failed": ("✗", "!!", "red"),
    "failure": ("✗", "!!", "red"),
    "running": ("●", "..", "cyan"),
    "waiting": ("◌", "zz", "yellow"),
    "asks": ("?", "??", "magenta"),
    "paused": ("‖", "||", "magenta"),
    "queued": ("·", "--", "dim"),
    "cancelled": ("⊘", "xx", "dim"),
    "arrow": ("→", "->", "dim"),
    "more": ("…", "..", "dim"),
}


class Paper(Console):
    """A console for text from outside: no markup, no highlighting, no cutting where it goes into a pipe."""

    def __init__(self, *, stderr: bool = False) -> None:
        stream = sys.stderr if stderr else sys.stdout
        tty = stream.isatty()
        super().__init__(
            file=stream,
            markup=False,
            highlight=False,
            emoji=False,
            soft_wrap=not tty,
            width=None if tty else PIPE_WIDTH,
        )
        self.tty = tty and not self.is_dumb_terminal
        self.plain = not _encodes(stream.encoding, "✓◑●→…×")

    def on_broken_pipe(self) -> None:
        """The reader has gone; what follows is written nowhere, and the command ends as it would have."""
        self.quiet = True
        silence(self.file)  # pyright: ignore[reportArgumentType] - IO[str] and TextIO are the same here

    def glyph(self, state: str) -> Text:
        """One character for a state, or two letters where the terminal knows only ASCII."""
        sign, letters, style = _GLYPHS.get(state, ("·", "--", "dim"))
        return Text(letters if self.plain else sign, style)

    def sign(self, unicode: str, ascii_: str) -> str:
        return ascii_ if self.plain else unicode

    def put(self, *parts: "str | Text | tuple[str, str]", indent: int = 0) -> None:
        """One line from parts; plain strings are cleaned of control characters."""
        text = Text(" " * indent)
        for part in parts:
            if isinstance(part, Text):
                text.append_text(part)
            elif isinstance(part, tuple):
                text.append(printable(part[0]), part[1])
            else:
                text.append(printable(part))
        self.print(text, soft_wrap=not self.tty)

    def command(self, line: str, *, indent: int = 0) -> None:
        """A command line to be copied: never broken by us."""
        self.print(Text(" " * indent + printable(line)), soft_wrap=True)


def _encodes(encoding: str | None, text: str) -> bool:
    try:
        text.encode(encoding or "ascii")
    except (UnicodeError, LookupError):
        return False
    return True


def duration(ms: float) -> str:
    """``7ms``, ``1.24s``, ``3m05s``, ``2h07m``, ``3d04h``."""
    if ms < 1000:
        return f"{max(0, round(ms))}ms"
    seconds = ms / 1000
    if seconds < 60:
        return f"{seconds:.1f}s" if seconds >= 10 else f"{seconds:.2f}s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    if whole < 86_400:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // 86_400}d{whole % 86_400 // 3600:02d}h"


def clock(ms: int, now: int | None = None) -> str:
    """Local time, with the date unless it is today's."""
    then, today = time.localtime(ms / 1000), time.localtime(None if now is None else now / 1000)
    if then[:3] == today[:3]:
        return time.strftime("%H:%M:%S", then)
    return time.strftime("%Y-%m-%d %H:%M:%S", then)


def money(cost: str, unpriced: int = 0) -> str:
    """``$0`` for nothing, else at least cents and at most six digits; ``unpriced``: calls that it does not hold."""
    if unpriced:
        return f"{money(cost)} + {plural(unpriced, 'call')} of unknown price"
    try:
        amount = float(cost or 0)
    except ValueError:
        return cost
    if not amount:
        return "$0"
    text = f"{amount:.6f}".rstrip("0")
    whole, _, cents = text.partition(".")
    return f"${whole}.{cents:0<2}"


def count(number: int) -> str:
    """``12,345``."""
    return f"{number:,}"


def plural(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def brief(value: Any, limit: int = 100) -> str:
    """A JSON value on one line, cut to ``limit`` characters."""
    text = msgspec.json.encode(value).decode()
    return printable(text if len(text) <= limit else text[: limit - 1] + "…")


def pretty(value: Any, lines: int | None = None) -> list[str]:
    """A JSON value on several lines, at most ``lines`` of them."""
    encoded = msgspec.json.encode(value)
    if len(encoded) <= 100:
        return [printable(encoded.decode())]
    rows = printable(msgspec.json.format(encoded, indent=2).decode()).split("\n")
    if lines is not None and len(rows) > lines:
        return [*rows[:lines], f"… {len(rows) - lines:,} more lines"]
    return rows


def glimpse(value: Any, lines: int) -> list[str]:
    """The first ``lines`` lines of a value, long ones cut. A longer text is shown as it reads, anything else as JSON."""
    text = isinstance(value, str) and ("\n" in value or len(value) > 100)
    rows = value.split("\n") if text else pretty(value)
    more = [f"… {len(rows) - lines:,} more lines"] if len(rows) > lines else []
    cut = [
        row if len(row) <= _WIDTH else f"{row[:_WIDTH]}… {len(row) - _WIDTH:,} more characters" for row in rows[:lines]
    ]
    return [printable(row) for row in cut] + more
