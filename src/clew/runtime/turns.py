"""Whose turn it is in the queue (requirement W13): places for runs that work, and fairness between projects."""

import asyncio
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from pathlib import Path

from clew.core.commands import StartChild
from clew.core.events import Event
from clew.core.states import ENDED
from clew.runtime.children import child_id
from clew.runtime.host import Host, Surroundings

Queued = tuple[str, Surroundings]


class Turns:
    """Picks the next run: of the projects with the fewest runs at work the one served longest ago; in a project the oldest."""

    def __init__(self, queue: Sequence[Queued]) -> None:
        self._lines: dict[Path, deque[Queued]] = {}
        for queued in queue:
            self._lines.setdefault(queued[1].project.directory, deque()).append(queued)
        self._served: dict[Path, int] = {}
        self._turn = 0

    def __bool__(self) -> bool:
        return bool(self._lines)

    def next(self, at_work: Mapping[Path, int]) -> Queued:
        """Take a run out; ``at_work``: how many of each project's runs hold a place now."""
        project = min(self._lines, key=lambda p: (at_work.get(p, 0), self._served.get(p, 0)))
        self._turn += 1
        self._served[project] = self._turn
        queued = self._lines[project].popleft()
        if not self._lines[project]:
            del self._lines[project]
        return queued


class Places:
    """Places for queued runs, ``most`` of them; a watcher (see ``runtime.host.Watcher``) that sees who works.

    A run and its child runs share one place. They hold it while any of them works, so what sleeps, backs off or waits for an
    answer gives it to the next. What wakes goes on at once, even where that makes one more than ``most``: only then nothing new
    is begun.
    """

    def __init__(self, hosts: Mapping[str, Host], most: int) -> None:
        self._hosts, self._most = hosts, most
        self._trees: dict[str, set[str]] = {}
        """Queued run -> those of it and its child runs that work, or have ended and their parent has not gone on yet."""
        self._projects: dict[str, Path] = {}
        self._seen: set[str] = set()
        self._changed = asyncio.Event()

    async def free(self) -> None:
        """Until there is a place."""
        while sum(map(bool, self._trees.values())) >= self._most:
            self._changed.clear()
            await self._changed.wait()

    def at_work(self) -> Counter[Path]:
        """Runs that hold a place, by project."""
        return Counter(self._projects[run] for run, tree in self._trees.items() if tree)

    def take(self, run: str, project: Path) -> None:
        self._trees[run] = {run}
        self._projects[run] = project

    def leave(self, run: str) -> None:
        del self._trees[run]
        self._changed.set()

    def __call__(self, run: str, seq: int, event: Event) -> None:
        tree = self._trees.get(run.partition(".")[0])
        if tree is None:
            return
        self._seen.add(run)
        for one in (run, run.rpartition(".")[0]):
            host = self._hosts.get(one)
            if host is not None and host.machine.state not in ENDED:
                self._look(one, host, tree)
        self._changed.set()

    def _look(self, run: str, host: Host, tree: set[str]) -> None:
        if host.machine.state == "waiting" and not self._awaits_unborn(run, host):
            tree.discard(run)
            return
        tree.add(run)
        for child in [r for r in tree if r.rpartition(".")[0] == run]:
            held = self._hosts.get(child)
            if held is None or held.machine.state in ENDED:
                tree.discard(child)

    def _awaits_unborn(self, run: str, host: Host) -> bool:
        """A child run is about to be started: it will work in this place."""
        waits = host.machine.waits.values()
        return any(isinstance(w, StartChild) and child_id(run, w.key) not in self._seen for w in waits)
