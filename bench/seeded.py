"""How many seeded faults of three published packages are repaired offline, and how many repairs are false.

    python bench/seeded.py --packages-dir DIR --fetch                  download the packages first (needs a registry)
    python bench/seeded.py --packages-dir DIR [--package NAME ...] [--count 34] [--seed 1] [--json FILE] [--repeat 2]

A fault is a change by one of the operators of ``seeded_faults`` (drawn in turn, so that each is there about equally
often) that at least one visible test notices. The tests of a package are cut into two halves by the hash of their
names: the repository that is repaired holds the visible ones only. Afterwards the repaired program is judged:

    exact       it is the original program, but for its text: the same byte code
    equal       held-out tests pass, and on the calls that all the tests make of the changed functions, and on changes
                of these, it does what the original does (``seeded_shadow``)
    unclear     held-out tests pass, and the functions cannot be compared so
    OTHER       held-out tests pass, but on such calls it does something else
    FALSE       held-out tests fail

``--repeat 2`` repairs twice, with other hash seeds and numbers of workers, and compares the diffs. Results are written
to ``--json`` after each fault; those already there are kept.
"""

import argparse
import asyncio
import contextlib
import difflib
import hashlib
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import seeded_packages as packages
import seeded_shadow
from seeded_packages import HELD_OUT, PACKAGES, VISIBLE, Package
from seeded_report import line_of, report
from seeding import Edit, Fault, changed, draw

from clew.agents.code import interpreter as interpreters
from clew.agents.code import jobs, repair
from clew.core.errors import ClewError, NotFound
from clew.gate.ports.sandbox import MIB, ExecRequest, ExecResult, Mount, Profile
from clew.sandbox.native import NativeBackend

SUITE_WALL = 40.0
SHADOW = Path(seeded_shadow.__file__).read_bytes()
ROUNDS = ({"workers": 2, "hash": "1"}, {"workers": 1, "hash": "4711"}, {"workers": 3, "hash": "0"})
CHANGES = 3
"""Changes that one repair may make; two places need two."""
TRIES_PER_TURN = 15
"""Draws of one operator in its turn; those that no visible test notices are dropped."""
Files = dict[str, bytes]


@dataclass
class Bench:
    """One package: its two repositories, and the sandbox in which their suites are run."""

    package: Package
    trees: tuple[Path, Path]
    backend: NativeBackend
    mounts: tuple[Mount, ...]
    sources: Files
    memory: Path
    noticed: dict[str, bool]

    async def notices(self, half: int, edits: tuple[Edit, ...]) -> bool:
        """Whether a test of this half fails with the fault; told once and for all, and kept beside the packages."""
        key = hashlib.sha256(repr((self.package, half, edits)).encode()).hexdigest()[:24]
        if key not in self.noticed:
            failing = await self.failing(half, changed(self.sources, edits), first=True)
            self.noticed[key] = bool(failing)
            self.memory.write_text(json.dumps(self.noticed))
        return self.noticed[key]

    async def failing(self, half: int, files: Files, *, first: bool = False) -> list[str]:
        """Ids of the tests that fail with these files; ``["(hangs)"]`` when the suite does not end."""
        done, _ = await self._suite(half, files, ["-x"] if first else [])
        if done.status != "OK":
            return ["(hangs)"]
        lines = done.stdout.decode().splitlines()
        told = [line.split(" ")[1] for line in lines if line.startswith(("FAILED", "ERROR"))]
        return told or ([] if done.rc == 0 else [f"(pytest: exit {done.rc})"])

    async def shadow(self, half: int, files: Files) -> dict[str, Any]:
        """What ``seeded_shadow`` tells of the repaired files, on the calls that this half of the tests makes."""
        texts = {n: {"original": self.sources[n].decode(), "repaired": d.decode()} for n, d in files.items()}
        more = {"shadow.json": json.dumps(texts).encode(), "seeded_shadow.py": SHADOW}
        done, answer = await self._suite(half, more, ["-p", "seeded_shadow"], "shadow.out.json")
        return json.loads(answer) if answer else {"error": done.stderr.decode()[-300:] or done.status}

    async def _suite(self, half: int, files: Files, more: list[str], wanted: str = "") -> tuple[ExecResult, bytes]:
        profile = Profile(wall_s=SUITE_WALL, cpu_s=2 * SUITE_WALL, memory=1024 * MIB, processes=64, mounts=self.mounts)
        sandbox = self.backend.acquire(profile)
        try:
            sandbox.put_tree(self.trees[half])
            for name, data in files.items():
                sandbox.put(name, data)
            options = ("-q", "-rfE", "--tb=no", "-p", "no:cacheprovider", *more)
            argv = (sys.executable, "-s", "-B", "-m", "pytest", *options)
            variables = {"PATH": "/usr/bin:/bin", "HOME": "/tmp", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "0"}
            variables |= {"PYTHONPATH": "/workspace/src:/workspace", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
            done = await sandbox.execute(ExecRequest(argv=argv, env=variables))
            with contextlib.suppress(NotFound):
                return done, sandbox.get(wanted) if wanted else b""
            return done, b""
        finally:
            sandbox.close()

    async def faults(self, count: int, seed: int) -> AsyncIterator[Fault]:
        """``count`` faults that visible tests notice; of two places each is noticed by itself."""
        drawn = draw(self.sources, seed)
        turns = sorted(drawn)
        random.Random(f"{seed} {self.package.name}").shuffle(turns)
        given = 0
        while drawn and given < count:
            for operator in [turn for turn in turns if turn in drawn]:
                fault = await self._next_noticed(drawn[operator])
                if fault is None:
                    del drawn[operator]
                    continue
                yield fault
                given += 1
                if given == count:
                    return

    async def _next_noticed(self, stream: Any) -> Fault | None:
        for _ in range(TRIES_PER_TURN):
            fault = next(stream, None)
            if fault is None:
                return None
            parts = [fault.edits, *((e,) for e in fault.edits if len(fault.edits) > 1)]
            for part in parts:
                if not await self.notices(VISIBLE, part):
                    break
            else:
                return fault
        return None

    async def judge(self, files: Files) -> dict[str, Any]:
        """A repaired program, judged by what the repair did not see."""
        changed = {n: d for n, d in files.items() if d != self.sources[n]}
        judged: dict[str, Any] = {
            "exact": all(_code(n, d) == _code(n, self.sources[n]) for n, d in changed.items()),
            "visible_failing": await self.failing(VISIBLE, files),
            "held_out_failing": await self.failing(HELD_OUT, files),
        }
        if not judged["exact"]:
            judged["shadow"] = [await self.shadow(half, changed) for half in (VISIBLE, HELD_OUT)]
        return judged


def _code(name: str, data: bytes) -> Any:
    return seeded_shadow.shape(compile(data, name, "exec"))


def diff_of(before: Files, after: Files) -> str:
    lines: list[str] = []
    for name, data in sorted(after.items()):
        old, new = before[name].decode().splitlines(keepends=True), data.decode().splitlines(keepends=True)
        lines.extend(difflib.unified_diff(old, new, f"a/{name}", f"b/{name}", n=1))
    return "".join(lines)


def repaired(sources: Files, faulty: Files, diff: str) -> Files:
    """The files that a repair's diff changes, and those that the fault changed."""
    with tempfile.TemporaryDirectory(prefix="seeded-") as folder:
        top = Path(folder)
        for name, data in {**sources, **faulty}.items():
            (top / name).parent.mkdir(parents=True, exist_ok=True)
            (top / name).write_bytes(data)
        subprocess.run(["patch", "-p1", "-s"], input=diff.encode(), cwd=top, check=True)
        return {name: (top / name).read_bytes() for name in sources}


async def attempt(task: dict[str, Any]) -> dict[str, Any]:
    """One repair: the jobs one after another, without a workflow around them."""
    backend = NativeBackend()
    request = {"repo": task["repo"], "python": sys.executable, "workers": task["workers"]}
    table = {"locate": jobs.locate, "evaluate": jobs.evaluate, "verify": jobs.verify, "confirm": jobs.confirm}

    async def perform(job: str, *arguments: Any) -> Any:
        return await table[job](backend, *arguments)

    try:
        suite = await jobs.run_suite(backend, request)
        located = await jobs.locate(backend, request, suite)
        found = await repair.search(perform, request, suite, located, task["limits"])
    except ClewError as error:
        return {"reason": f"error: {error}"[:300], "tried": 0, "diff": ""}
    verified = found["verified"] or {}
    told = {key: found.get(key) for key in ("reason", "tried", "verdicts", "refused", "seconds", "others", "part")}
    shown = {"rank": verified.get("rank"), "by": verified.get("operator")}
    targets = {
        "targets": len(located["targets"]),
        "failing": len(suite["failing"]),
        "candidates": located["candidates"],
    }
    return {**told, **shown, **targets, "diff": verified.get("diff", "")}


def in_process(repo: Path, options: argparse.Namespace, number: int) -> dict[str, Any]:
    """The attempt in a fresh process with its own hash seed; wall time includes the start of it."""
    setting = ROUNDS[number % len(ROUNDS)]
    limits = {"max_tries": options.max_tries, "time_limit": options.time_limit, "changes": CHANGES}
    task = {"repo": str(repo), "workers": setting["workers"], "limits": limits}
    began, used = time.monotonic(), processor()
    try:
        done = subprocess.run(
            [sys.executable, __file__, "--attempt"],
            input=json.dumps(task),
            env={**os.environ, "PYTHONHASHSEED": str(setting["hash"])},
            capture_output=True,
            text=True,
            timeout=3 * options.time_limit + 120,
        )
        answer = json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else None
        result = answer or {"reason": f"crash: {done.stderr[-600:]}", "tried": 0, "diff": ""}
    except subprocess.TimeoutExpired:
        result = {"reason": "does not end", "tried": 0, "diff": ""}
    return {**result, "wall": round(time.monotonic() - began, 1), "cpu": round(processor() - used, 1)}


def processor() -> float:
    """Seconds of processor time of all children that have ended; unlike wall time it hardly depends on the load."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


async def measure(bench: Bench, fault: Fault, options: argparse.Namespace) -> dict[str, Any]:
    faulty = changed(bench.sources, fault.edits)
    noticed = await bench.notices(HELD_OUT, fault.edits)
    with tempfile.TemporaryDirectory(prefix="seeded-") as folder:
        repo = Path(folder) / bench.package.name
        shutil.copytree(bench.trees[VISIBLE], repo)
        for name, data in faulty.items():
            (repo / name).write_bytes(data)
        rounds = [in_process(repo, options, number) for number in range(options.repeat)]
    row: dict[str, Any] = {"package": bench.package.name, "operator": fault.operator, "name": fault.name}
    row |= {"fault": diff_of(bench.sources, faulty), "noticed": noticed, **rounds[0]}
    row["same"] = all(r["diff"] == rounds[0]["diff"] for r in rounds) if options.repeat > 1 else None
    row["others"] = [{key: r[key] for key in ("reason", "tried", "wall", "diff")} for r in rounds[1:]]
    if row["diff"]:
        row |= await bench.judge(repaired(bench.sources, faulty, row["diff"]))
    return row


async def prepared(package: Package, folder: Path, packages_dir: Path) -> Bench:
    """Both repositories of a package, made in ``folder``. Raises SystemExit when tests fail without a fault."""
    origin = packages.unpack(package, packages_dir)
    trees = (folder / "visible", folder / "held-out")
    for half, tree in zip((VISIBLE, HELD_OUT), trees, strict=True):
        packages.lay_out(package, origin, tree, half)
    backend = NativeBackend()
    found = await interpreters.inspect(backend, trees[0], sys.executable)
    memory = packages_dir / f"noticed-{package.name}.json"
    noticed = json.loads(memory.read_text()) if memory.exists() else {}
    mounts = tuple(Mount(m) for m in found.mounts)
    bench = Bench(package, trees, backend, mounts, packages.sources(package, trees[0]), memory, noticed)
    for half in (VISIBLE, HELD_OUT):
        if failing := await bench.failing(half, {}):
            raise SystemExit(f"{package.name}: tests fail without a fault: {failing}")
    return bench


async def run(options: argparse.Namespace) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(options.json.read_text()) if options.json and options.json.exists() else []
    for name in options.package:
        with tempfile.TemporaryDirectory(prefix="seeded-") as folder:
            bench = await prepared(PACKAGES[name], Path(folder), options.packages_dir)
            async for fault in bench.faults(options.count, options.seed):
                if any(row["package"] == name and row["name"] == fault.name for row in rows):
                    continue
                row = await measure(bench, fault, options)
                rows.append(row)
                print(line_of(row), flush=True)
                if options.json:
                    options.json.write_text(json.dumps(rows, indent=1))
    return rows


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages-dir", type=Path, required=True)
    parser.add_argument("--fetch", action="store_true")
    parser.add_argument("--package", nargs="*", choices=sorted(PACKAGES), default=list(PACKAGES))
    parser.add_argument("--count", type=int, default=34, help="faults of each package")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--max-tries", type=int, default=400)
    parser.add_argument("--time-limit", type=float, default=120.0, help="seconds of search")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def main() -> None:
    if sys.argv[1:] == ["--attempt"]:
        print(json.dumps(asyncio.run(attempt(json.load(sys.stdin)))))
        return
    options = parse()
    if options.fetch:
        options.packages_dir.mkdir(parents=True, exist_ok=True)
        for name in options.package:
            packages.fetch(PACKAGES[name], options.packages_dir)
    else:
        print(report(asyncio.run(run(options))))


if __name__ == "__main__":
    main()
