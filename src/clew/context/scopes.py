"""Scopes: whose documents. ``global``, ``project:<id>``, ``session:<id>`` or ``task:<id>``; tenants never share one."""

from hashlib import blake2b
from typing import Literal
from urllib.parse import quote, unquote

import msgspec

from clew.core.errors import UsageError

Kind = Literal["global", "project", "session", "task"]
KINDS: tuple[Kind, ...] = ("global", "project", "session", "task")
_LONGEST = 200
_FOLDER = 120


class Scope(msgspec.Struct, frozen=True):
    kind: Kind
    id: str = ""

    def __str__(self) -> str:
        return f"{self.kind}:{self.id}" if self.id else self.kind

    @property
    def folder(self) -> str:
        """Name of its folder: readable, and no path whatever the id is; a long id is shortened by its digest."""
        return f"{self.kind}={_plain(self.id)}" if self.id else self.kind


def parse(text: str) -> Scope:
    """Raises UsageError."""
    kind, _, rest = text.partition(":")
    if kind not in KINDS:
        raise UsageError(f"{text!r} is no scope", hint="global, project:ID, session:ID or task:ID")
    if (kind == "global") == bool(rest):
        raise UsageError(f"{text!r} is no scope", hint="global has no id; every other scope has one, like project:demo")
    if len(rest) > _LONGEST or not rest.isprintable():
        found = f"{len(rest):,} characters" if len(rest) > _LONGEST else f"{rest!a:.60}"
        raise UsageError(f"the id of a {kind} has at most {_LONGEST} characters, all printable; found {found}")
    return Scope(kind, rest)


def of_folder(name: str) -> Scope | None:
    """The scope of a folder; None: it is none, or its id was shortened."""
    kind, _, rest = name.partition("=")
    if kind not in KINDS or (kind == "global") == bool(rest) or rest.startswith("~"):
        return None
    return Scope(kind, unquote(rest))


def tenant_folder(tenant: str) -> str:
    return f"tenant={_plain(tenant)}"


def _plain(text: str) -> str:
    quoted = quote(text, safe="", errors="surrogateescape")  # what the environment says need not be UTF-8
    if quoted.startswith("~"):  # only what is shortened begins with that
        quoted = f"%7E{quoted[1:]}"
    if len(quoted) <= _FOLDER:
        return quoted
    return "~" + blake2b(text.encode("utf-8", "surrogateescape"), digest_size=20).hexdigest()
