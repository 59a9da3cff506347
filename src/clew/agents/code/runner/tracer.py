"""Line coverage per test by ``sys.settrace``: needs no package in the repository's environment.

A code object whose lines have all been seen in the present test is not traced any further, so a hot function
costs a call event and little more.
"""

import dis
import os
import sys
import threading
from types import CodeType, FrameType
from typing import Any, Callable, Dict, List, Optional, Set, Tuple

from .scope import editable

Relative = Callable[[str], Optional[str]]
"""Path below the root of an editable file, else None."""
LocalTrace = Callable[[FrameType, str, Any], Any]


class _CodeLines:
    """Lines of one code object: all that there are, and those seen since the last ``take``."""

    __slots__ = ("code", "first", "path", "seen", "total", "trace")

    def __init__(self, code: CodeType, path: str) -> None:
        self.code = code  # kept, so that its id stays its own
        self.path = path
        self.first = code.co_firstlineno
        self.total = len({line for _, line in dis.findlinestarts(code) if line} | {self.first})
        self.seen: Set[int] = set()
        self.trace: LocalTrace = self._local

    def _local(self, frame: FrameType, event: str, _arg: Any) -> Any:
        if event == "line":
            self.seen.add(frame.f_lineno)
        return self.trace


class Tracer:
    """Collects the lines of editable files below ``root`` that run between two calls of ``take``."""

    def __init__(self, root: str) -> None:
        self.root = os.path.realpath(root) + os.sep
        self._codes: Dict[int, Optional[_CodeLines]] = {}
        self._foreign: List[CodeType] = []  # kept alive, so that no id is used twice
        self._paths: Dict[str, Optional[str]] = {}

    def start(self) -> None:
        threading.settrace(self._global)
        sys.settrace(self._global)

    def stop(self) -> None:
        sys.settrace(None)
        threading.settrace(None)  # type: ignore[arg-type]

    def take(self) -> Dict[str, Set[int]]:
        """The lines seen since the last call, by path relative to the root."""
        lines: Dict[str, Set[int]] = {}
        for entry in self._codes.values():
            if entry is not None and entry.seen:
                lines.setdefault(entry.path, set()).update(entry.seen)
                entry.seen.clear()
        return lines

    def relative(self, filename: str) -> Optional[str]:
        """Path below the root of an editable file, else None."""
        if filename not in self._paths:
            path = os.path.realpath(filename)
            below = path[len(self.root) :].replace(os.sep, "/") if path.startswith(self.root) else ""
            self._paths[filename] = below if below and editable(below) else None
        return self._paths[filename]

    def _global(self, frame: FrameType, _event: str, _arg: Any) -> Optional[LocalTrace]:
        code = frame.f_code
        try:
            entry = self._codes[id(code)]
        except KeyError:
            path = self.relative(code.co_filename)
            if path is None:
                self._foreign.append(code)
            entry = self._codes[id(code)] = None if path is None else _CodeLines(code, path)
        if entry is None:
            return None
        entry.seen.add(entry.first)
        return entry.trace if len(entry.seen) < entry.total else None


def frames_below(tracer: Tracer, traceback: Any) -> Tuple[Tuple[str, int], ...]:
    """(path, line) of the traceback's frames that lie in editable files, outermost first, the last 40 of them."""
    found: List[Tuple[str, int]] = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        path = tracer.relative(code.co_filename)
        if path is not None and traceback.tb_lineno != code.co_firstlineno:  # a call that met the recursion limit
            found.append((path, traceback.tb_lineno))
        traceback = traceback.tb_next
    return tuple(found[-40:])


def frames_of(tracer: Tracer, frame: Any) -> Tuple[Tuple[str, int], ...]:
    """The same of a stack that is running, from its innermost frame."""
    found: List[Tuple[str, int]] = []
    while frame is not None and len(found) < 40:
        path = tracer.relative(frame.f_code.co_filename)
        if path is not None:
            found.append((path, frame.f_lineno))
        frame = frame.f_back
    return tuple(found[::-1])
