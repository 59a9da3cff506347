"""What a tree of processes uses, read from the /proc of its namespace, which shows that tree and nothing else.

Resident private memory is summed over all processes. Pages shared after a fork are counted once per process by
that sum, so a kill is decided by the proportional figure (``smaps_rollup``). Shared anonymous memory stays when the
process that touched it is gone: it is counted by its full size while anybody maps it. Unmapped memory files are
refused by the filter. What cannot be seen here is kernel memory (pipes, socket buffers, page tables); the limits on
processes and open files bound it.
"""

import os
from collections.abc import Callable
from typing import NamedTuple

_TICKS = os.sysconf("SC_CLK_TCK")
_CHUNK = 1 << 16
_READ_LIMIT = 8 << 20
"""More than the list of mappings can be long by default (vm.max_map_count)."""
_START_TIME = 19
_SHARED_MARKS = (b"/dev/zero (deleted)", b"/SYSV", b"/memfd:")
_MAPS_EVERY = 4


class Usage(NamedTuple):
    """``memory`` in bytes; ``cpu_s`` of the living and of the children they have reaped."""

    memory: int
    cpu_s: float
    processes: int


class Watchdog:
    """Samples one tree. The namespace's first process (ours) is counted for the CPU of reaped orphans only.

    ``limit``: bytes of memory; shared memory is looked for only where it could make a difference, because that means
    reading every process' list of mappings. ``pids``: how to find the tree where /proc shows more; ``first``: which of
    it is ours.
    """

    def __init__(self, limit: int, first: str = "1", pids: Callable[[], list[str]] | None = None) -> None:
        self.peak_memory = 0
        self.peak_cpu_s = 0.0
        self._limit = limit
        self._first = first
        self._pids = pids or _visible
        self._samples = 0
        self._shared = 0
        self._seen: dict[tuple[str, bytes], int] = {}
        self._vanished = 0

    def sample(self) -> Usage:
        """Read the tree once and keep the peaks."""
        pids = self._pids()
        cpu_s = self._cpu_s(pids)
        commands = [pid for pid in pids if pid != self._first]
        statuses = [_read(f"/proc/{pid}/status") for pid in commands]
        private = sum(_kilobytes(status, b"RssAnon:") for status in statuses)
        if self._samples % _MAPS_EVERY == 0:
            possible = private + sum(map(_sharable, statuses)) > self._limit
            self._shared = _shared_anonymous(commands) if possible else 0
        self._samples += 1
        usage = Usage(private + self._shared, cpu_s, len(pids))
        self.peak_memory = max(self.peak_memory, usage.memory)
        self.peak_cpu_s = max(self.peak_cpu_s, usage.cpu_s)
        return usage

    def proportional_memory(self) -> int:
        """As ``memory``, shared pages divided among those who share them. Slow; unreadable processes count in full."""
        total = self._shared
        for pid in self._pids():
            if pid != self._first:
                rollup = _read(f"/proc/{pid}/smaps_rollup")
                total += _kilobytes(rollup, b"Pss_Anon:") if rollup else _private(pid)
        return total

    def _cpu_s(self, pids: list[str]) -> float:
        """The larger of two sums: what parents have reaped, and what vanished processes had used when last seen.

        A parent that ignores SIGCHLD reaps nothing, and a process shorter than a tick is never seen.
        """
        reaped = 0
        seen: dict[tuple[str, bytes], int] = {}
        for pid in pids:
            fields = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
            if len(fields) > _START_TIME:
                reaped += int(fields[13]) + int(fields[14])
                if pid != self._first:
                    seen[pid, fields[_START_TIME]] = int(fields[11]) + int(fields[12])
        living = sum(seen.values())
        self._vanished += sum(ticks for process, ticks in self._seen.items() if process not in seen)
        self._seen = seen
        return max(living + reaped, living + self._vanished) / _TICKS


def _visible() -> list[str]:
    return [name for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208 - 50 times a second


def _private(pid: str) -> int:
    return _kilobytes(_read(f"/proc/{pid}/status"), b"RssAnon:")


def _sharable(status: bytes) -> int:
    """An upper bound of a process' shared mappings: what is neither data, stack nor program text."""
    rest = _kilobytes(status, b"VmSize:")
    return max(0, rest - sum(_kilobytes(status, key) for key in (b"VmData:", b"VmStk:", b"VmExe:", b"VmLib:")))


def _kilobytes(text: bytes, key: bytes) -> int:
    start = text.find(key)
    if start < 0:
        return 0
    words = text[start + len(key) : start + len(key) + 40].split(None, 1)
    return int(words[0]) * 1024 if words and words[0].isdigit() else 0


def _shared_anonymous(pids: list[str]) -> int:
    """Bytes of shared anonymous mappings, each once (by inode), by their size whether touched or not."""
    sizes: dict[bytes, int] = {}
    for pid in pids:
        maps = _read(f"/proc/{pid}/maps")
        if len(maps) >= _READ_LIMIT:
            sizes[pid.encode()] = _kilobytes(_read(f"/proc/{pid}/status"), b"VmSize:")
            continue
        if not any(mark in maps for mark in _SHARED_MARKS):
            continue
        mine: dict[bytes, int] = {}
        for line in maps.splitlines():
            if any(mark in line for mark in _SHARED_MARKS):
                span, _, _, _, inode = line.split(None, 5)[:5]
                start, _, end = span.partition(b"-")
                mine[inode] = mine.get(inode, 0) + int(end, 16) - int(start, 16)
        for inode, size in mine.items():
            sizes[inode] = max(sizes.get(inode, 0), size)
    return sum(sizes.values())


def _read(path: str) -> bytes:
    """The whole file up to ``_READ_LIMIT``, or nothing when its process is gone or hidden."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    data = bytearray()
    try:
        while len(data) < _READ_LIMIT and (chunk := os.read(fd, _CHUNK)):
            data += chunk
    except OSError:
        return b""
    finally:
        os.close(fd)
    return bytes(data)
