"""Trials: a run of the chaos project whose processes are killed one after another, until one is let through to the end."""

import json
import os
import random
import shutil
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import judge

HERE = Path(__file__).parent
TALLY: Counter[str] = Counter()
SEED = os.environ.get("CLEW_CHAOS_SEED", "0")
_lock = threading.Lock()


class Zygote:
    """A warm process that forks a child per job."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "zygote.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(self, job: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


class Trials:
    """Runs trials side by side, each in a directory of its own below ``base``."""

    def __init__(self, base: Path, workers: int = 2) -> None:
        self.base = base
        self._zygotes: SimpleQueue[Zygote] = SimpleQueue()
        self._all = [Zygote() for _ in range(workers)]
        for zygote in self._all:
            self._zygotes.put(zygote)
        self._pool = ThreadPoolExecutor(workers)
        self._count = 0
        self._references: dict[str, dict[str, Any]] = {}

    def close(self) -> None:
        self._pool.shutdown()
        for zygote in self._all:
            zygote.close()

    def directory(self) -> Path:
        with _lock:
            self._count += 1
            made = self.base / f"{os.getpid()}-{self._count}"
        made.mkdir()
        return made

    def forked(self, job: dict[str, Any]) -> dict[str, Any]:
        zygote = self._zygotes.get()
        try:
            return zygote.run(job)
        finally:
            self._zygotes.put(zygote)

    def whole(self, job: dict[str, Any]) -> dict[str, Any]:
        """The job in a fresh interpreter."""
        command = [sys.executable, str(HERE / "driving.py"), json.dumps(job)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            try:
                out, err = process.communicate(timeout=job.get("after_ms", 60_000) / 1000)
            except subprocess.TimeoutExpired:
                process.kill()
                out, err = process.communicate()
        code = process.returncode
        told = json.loads(out) if out.endswith("\n") else {"stderr": err} if code >= 0 else {}
        return {**told, "signal": -code if code < 0 else None}

    def reference(self, **changes: Any) -> dict[str, Any]:
        """The undisturbed run: what every trial must come to."""
        name = json.dumps(changes, sort_keys=True)
        with _lock:
            if name not in self._references:
                self._references[name] = self._undisturbed(changes)
            return self._references[name]

    def _undisturbed(self, changes: dict[str, Any]) -> dict[str, Any]:
        directory = self.base / f"reference-{len(self._references)}"
        directory.mkdir()
        base = {"directory": str(directory), "incarnation": 1, **changes}
        told = self.forked({**base, "do": "drive", "count": True})
        steps_in = self.base / f"steps-{len(self._references)}"
        steps_in.mkdir()
        steps = self.forked({**base, "directory": str(steps_in), "do": "drive", "count_steps": True})
        assert "raised" not in told, told.get("traceback")
        seen = self.forked({**base, "do": "examine"})
        assert "raised" not in seen, seen.get("traceback")
        assert told["state"] == "completed", told
        return {**seen, "log": read_log(directory), "writes": told["writes"], "steps": steps["steps"]}

    def acquit(self, plans: list[list[dict[str, Any]]], **options: Any) -> None:
        """Run one trial per plan. Raises AssertionError that says which kills did what harm, and where it can be looked at."""
        self.reference(**options.get("changes", {}))
        found = self._pool.map(lambda plan: self.trial(plan, **options), plans)
        said = [problem for problems in found for problem in problems]
        assert not said, "\n".join([f"{len(said)} problems; CLEW_CHAOS_SEED={SEED}", *said[:5]])

    def trial(
        self, kills: list[dict[str, Any]], *, whole: bool = False,
        changes: dict[str, Any] | None = None, everywhere: dict[str, Any] | None = None,
    ) -> list[str]:  # fmt: skip
        """Kill process 1 as the first of ``kills`` says, the next as the second, and so on; judge what comes of it.

        A kill is ``{"write": n, "phase": "before" | "after"}``, ``{"step": n}``, ``{"after_ms": t}`` or ``{"point": name}``. A
        write may also stop the process in order, or fail (see ``driving.Writes``); ``raises`` is the error that is then due.
        ``changes`` make another run of it, with a reference of its own; ``everywhere`` is added to every process's job.
        """
        directory = self.directory()
        launch = self.whole if whole else self.forked
        base = {"directory": str(directory), **(changes or {}), **(everywhere or {})}
        said: list[str] = []
        for number, kill in enumerate([*kills, {}], 1):
            point = kill.get("point")
            if point:
                (directory / "kill-at-point").write_text(point)
            told = launch({**base, "do": "drive", "incarnation": number, **kill})
            (directory / "kill-at-point").unlink(missing_ok=True)
            count(told, whole, kill)
            if "raised" in told and (kill.get("raises", "nothing") not in told["raised"]):
                said.append(f"process {number}: {told['traceback']}")
            if told.get("stderr"):
                said.append(f"process {number}: {told['stderr']}")
            if told["signal"] not in (None, 9):
                said.append(f"process {number} ended by signal {told['signal']}")
        said += self.judged(directory, base, changes or {}, len(kills) + 2)
        if not said:
            shutil.rmtree(directory)
        return [f"{kills} in {directory}: {problem}" for problem in said]

    def judged(self, directory: Path, base: dict[str, Any], changes: dict[str, Any], number: int) -> list[str]:
        seen = self.forked({**base, "do": "examine", "incarnation": number})
        if "raised" in seen:
            return [seen["traceback"]]
        return judge.problems(seen, self.reference(**changes), read_log(directory))


def count(told: dict[str, Any], whole: bool, kill: dict[str, Any]) -> None:
    """Kills that took place, by kind, for the tally at the end of the suite."""
    if told["signal"] != 9:
        return
    with _lock:
        TALLY["kills"] += 1
        TALLY["kills of whole processes" if whole else "kills of forked processes"] += 1
        kind = next((k for k in ("write", "step", "after_ms", "point") if k in kill), "by itself")
        TALLY[{"write": "at a journal write", "step": "at a counted moment", "after_ms": "at a random time",
               "point": "around an effect"}.get(kind, kind)] += 1  # fmt: skip


def read_log(directory: Path) -> list[dict[str, Any]]:
    log = directory / "effects.log"
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def seeded(name: str) -> random.Random:
    """Chance that ``CLEW_CHAOS_SEED`` (default 0) repeats."""
    return random.Random(f"{SEED} {name}")
