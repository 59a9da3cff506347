"""How commands of memory answer: a result or a word on what was done, a table, a text on one line."""

from collections.abc import Callable
from typing import Any

from rich.table import Table

from clew.cli import present
from clew.cli.failures import SUCCESS, printable
from clew.cli.session import Session
from clew.cli.terminal import Paper


def answer(session: Session, document: Any, text: str, *, out: bool = False) -> int:
    """``text`` is the result itself (``out``), or a word on what was done."""
    tell: Callable[[str], None] = (lambda said: session.write(said + "\n")) if out else session.say
    if session.json:
        present.emit(session, document)
    else:
        tell(text)
    return SUCCESS


def listed(session: Session, document: Any, found: Table) -> int:
    """``found``: what is in the document."""
    if session.json:
        present.emit(session, document)
    elif found.row_count:
        Paper().print(found)
    else:
        session.say("there is none")
    return SUCCESS


def table(*columns: str) -> Table:
    """An empty one."""
    made = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for name in columns:
        made.add_column(name)
    return made


def line(text: str) -> str:
    """A text from outside on one line, its first 60 characters."""
    found = printable(" ".join(text.split()))
    return found if len(found) <= 60 else found[:59] + "…"
