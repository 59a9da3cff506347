"""Names handlers that touch the world by themselves without saying ``effects: external`` (design §5).

An interpreter audit hook sees opens for writing, sockets and subprocesses. It cannot be removed, so it is installed once, when the
first handler runs, and does nothing outside a watched handler.
"""

import contextvars
import logging
import os
import sys
from typing import Any

logger = logging.getLogger("clew.audit")

_watching: contextvars.ContextVar[str | None] = contextvars.ContextVar("clew_watching", default=None)
_reported: set[tuple[str, str]] = set()
_installed = False

_EVENTS = {
    "socket.connect": "opens a socket",
    "subprocess.Popen": "starts a process",
    "os.system": "starts a process",
    "os.remove": "removes a file",
    "os.rename": "renames a file",
}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_TRUNC


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if event != "open" and event not in _EVENTS:
        return
    node = _watching.get()
    if node is None:
        return
    if event == "open":
        path, _, flags = args
        if not (flags or 0) & _WRITING or str(path).endswith(".pyc") or "__pycache__" in str(path):
            return
        what = "opens a file for writing"
    else:
        what = _EVENTS[event]
    if (node, what) not in _reported:
        _reported.add((node, what))
        logger.warning(
            "node %r %s outside ctx: a crash may repeat it. Use ctx.effect or ctx.call, or declare effects: external",
            node,
            what,
        )


class watched:  # noqa: N801 - reads as a statement
    """While a handler runs between effects. ``declared``: the node says that it touches the world."""

    __slots__ = ("_node", "_token")

    def __init__(self, node: str | None, *, declared: bool = False) -> None:
        if not _installed:
            _install()
        self._node = None if declared else node

    def __enter__(self) -> None:
        self._token = _watching.set(self._node)

    def __exit__(self, *_: object) -> None:
        _watching.reset(self._token)


def unwatched() -> watched:
    """While an effect is performed on the handler's behalf."""
    return watched(None)


def _install() -> None:
    global _installed
    sys.addaudithook(_hook)
    _installed = True
