"""Where a test stands that cannot be interrupted, because it hangs in C code or brings the interpreter down.

The interpreter's own fault handler writes the stack to a file, also while the interpreter's lock is held.
"""

import faulthandler
import re
from pathlib import Path
from typing import IO, Any, List, Optional, Tuple

from .tracer import Relative

_FRAME = re.compile(r'  File "(.*)", line (\d+) in ')


class Dump:
    """Writes to ``path`` when the process crashes, and when a watched test runs on after its limit."""

    def __init__(self, path: str) -> None:
        self._file: IO[Any] = Path(path).open("w")  # noqa: SIM115  for as long as the process lives
        self._watching = False

    def start(self) -> None:
        faulthandler.enable(self._file)

    def watch(self, seconds: float) -> None:
        """A thread of the interpreter's own; it is there until ``release``."""
        self._watching = True
        faulthandler.dump_traceback_later(seconds, file=self._file)

    def release(self) -> None:
        if self._watching:
            faulthandler.cancel_dump_traceback_later()
            self._watching = False


def dumped(path: Optional[str], relative: Relative) -> List[Tuple[str, int]]:
    """(path, line) of the frames in editable files, outermost first; none where nothing was written."""
    if not path or not Path(path).exists():
        return []
    found: List[Tuple[str, int]] = []
    for line in Path(path).read_text("utf-8", "replace").splitlines():
        match = _FRAME.match(line)
        below = relative(match.group(1)) if match else None
        if match and below:
            found.append((below, int(match.group(2))))
    return found[:40][::-1]
