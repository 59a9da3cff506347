"""How many of the 40 Python programs of QuixBugs are repaired offline, and how long each takes.

    python bench/quixbugs.py CHECKOUT [--half first|second|both] [--only NAME ...] [--show]

Each program becomes a repository of its own: the program, its test file and test data, nothing else. The correct
programs stay out; they only judge afterwards: on inputs made by small changes of the test inputs, repaired and correct
program must agree (``agrees``), where the tests are lists of inputs and outputs. The priors were tuned with the first
twenty in alphabetical order; of the others only totals are reported unless ``--show`` is given.
"""

import argparse
import asyncio
import contextlib
import copy
import io
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from clew.agents.code import jobs, repair
from clew.gate.ports.sandbox import SandboxBackend
from clew.sandbox.native import NativeBackend

SHARED = ("load_testdata.py", "node.py")
CONFTEST = (
    "import pytest\n\n\ndef pytest_configure(config):\n    pytest.use_correct = False\n    pytest.run_slow = False\n"
)
LIMITS = {"max_tries": 6000, "time_limit": 300.0}
SAMPLES = 300


def programs(checkout: Path) -> list[str]:
    """Names of the programs that have a test file, in alphabetical order."""
    return sorted(path.stem.removeprefix("test_") for path in (checkout / "python_testcases").glob("test_*.py"))


def build(checkout: Path, name: str, target: Path) -> None:
    """One program as a repository: no other program, no correct version, no hint."""
    for folder in ("python_programs", "python_testcases", "json_testcases"):
        (target / folder).mkdir(parents=True)
    shutil.copy(checkout / "python_programs" / f"{name}.py", target / "python_programs")
    shutil.copy(checkout / "python_programs" / "node.py", target / "python_programs")
    for file in (f"test_{name}.py", *SHARED):
        shutil.copy(checkout / "python_testcases" / file, target / "python_testcases")
    data = checkout / "json_testcases" / f"{name}.json"
    if data.exists():
        shutil.copy(data, target / "json_testcases")
    (target / "conftest.py").write_text(CONFTEST)


async def attempt(backend: SandboxBackend, repo: Path, workers: int) -> dict[str, Any]:
    """One repair: the jobs one after another, without a workflow around them."""
    request = {"repo": str(repo), "python": sys.executable, "workers": workers}
    table = {"evaluate": jobs.evaluate, "verify": jobs.verify}

    async def perform(job: str, *arguments: Any) -> Any:
        return await table[job](backend, *arguments)

    began = time.monotonic()
    suite = await jobs.run_suite(backend, request)
    if not suite["failing"]:
        return {"reason": "nothing fails", "verified": None, "tried": 0, "wall": time.monotonic() - began}
    located = await jobs.locate(backend, request, suite)
    ready = time.monotonic()
    result = await repair.search(perform, request, suite, located, LIMITS)
    done = time.monotonic()
    return {**result, "wall": done - began, "search": done - ready, "candidates": located["candidates"]}


def agrees(checkout: Path, name: str, repo: Path, diff: str) -> bool | None:
    """Do repaired and correct program agree on changed test inputs? None where there are no such inputs."""
    data = checkout / "json_testcases" / f"{name}.json"
    if not data.exists():
        return None
    subprocess.run(["patch", "-p1", "-s"], input=diff.encode(), cwd=repo, check=True)
    cases = [json.loads(line)[0] for line in data.read_text().splitlines() if line.strip()]
    inputs = perturbed([case if isinstance(case, list) else [case] for case in cases])
    fixed = outcomes(repo / "python_programs", name, inputs)
    right = outcomes(checkout / "correct_python_programs", name, inputs)
    pairs = [(f, r) for f, r in zip(fixed, right, strict=True) if r is not None and not r.startswith("!")]
    return all(f == r for f, r in pairs)


def perturbed(cases: list[list[Any]]) -> list[list[Any]]:
    """Inputs like those of the tests: what holds for all of them (sorted, distinct, not negative, not empty) is kept."""
    chance = random.Random(20)
    columns = list(zip(*[c for c in cases if len(c) == len(cases[0])], strict=True))
    rules = [_Rules(column) for column in columns]
    made: list[list[Any]] = []
    small = [c for c in cases if len(json.dumps(c)) < 400] or cases
    for _ in range(SAMPLES):
        base = copy.deepcopy(chance.choice(small))
        made.append([rule.change(value, chance) for rule, value in zip(rules, base, strict=False)] + base[len(rules) :])
    return made


class _Rules:
    """Properties that a parameter has in all the tests."""

    def __init__(self, values: tuple[Any, ...]) -> None:
        flat = [x for v in values for x in (v if isinstance(v, list) else [v])]
        numbers = [x for x in flat if isinstance(x, int) and not isinstance(x, bool)]
        self.low = min(numbers, default=0)
        self.high = max(numbers, default=0)
        lists = [v for v in values if isinstance(v, list)]
        self.ordered = all(_sorted(v) for v in lists)
        self.distinct = all(len({json.dumps(x) for x in v}) == len(v) for v in lists)
        self.shortest = min((len(v) for v in values if isinstance(v, (list, str))), default=0)

    def change(self, value: Any, chance: random.Random) -> Any:
        if isinstance(value, bool) or value is None or isinstance(value, float):
            return value
        if isinstance(value, int):
            return min(self.high, max(self.low, value + chance.choice((-3, -2, -1, 0, 0, 1, 2, 3))))
        if isinstance(value, (list, str)):
            changed = self._sequence(list(value), chance)
            return "".join(changed) if isinstance(value, str) else changed
        return value

    def _sequence(self, items: list[Any], chance: random.Random) -> list[Any]:
        before = list(items)
        for _ in range(chance.randint(0, 3)):
            move = chance.choice(("drop", "double", "swap", "nudge"))
            if items and move == "drop" and len(items) > self.shortest:
                items.pop(chance.randrange(len(items)))
            elif items and move == "double":
                items.insert(chance.randrange(len(items) + 1), copy.deepcopy(chance.choice(items)))
            elif len(items) > 1 and move == "swap":
                a, b = chance.sample(range(len(items)), 2)
                items[a], items[b] = items[b], items[a]
            elif items and move == "nudge" and all(type(x) is int for x in items):
                place = chance.randrange(len(items))
                items[place] = min(self.high, max(self.low, items[place] + chance.choice((-2, -1, 1, 2))))
        if self.ordered and _comparable(items):
            items.sort()
        if self.distinct and len({json.dumps(x) for x in items}) < len(items):
            return before
        return items


def _comparable(items: list[Any]) -> bool:
    return all(type(x) is type(items[0]) for x in items) and not any(isinstance(x, (list, dict)) for x in items)


def _sorted(items: list[Any]) -> bool:
    return _comparable(items) and all(a <= b for a, b in pairwise(items)) if items else True


_EVALUATE = """
import json, signal, sys, types
sys.setrecursionlimit(3000)
sys.path.insert(0, sys.argv[1])
function = getattr(__import__(sys.argv[2]), sys.argv[2])
def late(*_): raise TimeoutError
signal.signal(signal.SIGALRM, late)
def plain(x):
    if isinstance(x, types.GeneratorType): x = list(x)
    return x
for line in sys.stdin:
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    try:
        answer = json.dumps(plain(function(*json.loads(line))), default=repr, sort_keys=True)
    except BaseException as error:
        answer = "!" + type(error).__name__
    signal.setitimer(signal.ITIMER_REAL, 0)
    print(answer, flush=True)
"""


def outcomes(folder: Path, name: str, inputs: list[list[Any]]) -> list[str | None]:
    """What the program gives for each input; ``!Error`` when it raises, None when the process ended before it."""
    text = "".join(json.dumps(i) + "\n" for i in inputs)
    with contextlib.suppress(subprocess.TimeoutExpired):
        done = subprocess.run(
            [sys.executable, "-c", _EVALUATE, str(folder), name], input=text, capture_output=True, text=True, timeout=90
        )
        lines: list[str | None] = list(io.StringIO(done.stdout).read().splitlines())
        return (lines + [None] * len(inputs))[: len(inputs)]
    return [None] * len(inputs)


async def measure(backend: SandboxBackend, checkout: Path, name: str, workers: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="quixbugs-") as folder:
        repo = Path(folder) / name
        build(checkout, name, repo)
        result = await attempt(backend, repo, workers)
        verified = result.get("verified")
        result["agrees"] = agrees(checkout, name, repo, verified["diff"]) if verified else None
        return {"name": name, **result}


def line_of(row: dict[str, Any]) -> str:
    agreed = {True: "agrees", False: "DIFFERS", None: ""}[row["agrees"]]
    rank = row["verified"]["rank"] if row["verified"] else "-"
    tried = f"rank {rank!s:>5} of {row.get('candidates', 0):5}, tried {row['tried']:5}"
    return f"{row['name']:28} {row['reason']:12} {tried} {row['wall']:6.1f} s  {agreed}"


def report(title: str, rows: list[dict[str, Any]]) -> None:
    repaired = [row for row in rows if row["verified"]]
    judged = [row for row in repaired if row["agrees"] is not None]
    agreed = sum(1 for row in judged if row["agrees"])
    walls = sorted(row["wall"] for row in rows)
    print(
        f"{title}: {len(repaired)} of {len(rows)} repaired; {agreed} of {len(judged)} agree with the correct program "
        f"on held-out inputs ({len(repaired) - len(judged)} not comparable); "
        f"time median {walls[len(walls) // 2]:.1f} s, longest {walls[-1]:.1f} s, sum {sum(walls):.0f} s"
    )


async def run(options: argparse.Namespace, backend: SandboxBackend) -> None:
    names = programs(options.checkout)
    halves = {"first": names[:20], "second": names[20:]}
    for title, half in halves.items():
        if options.half not in {title, "both"}:
            continue
        rows: list[dict[str, Any]] = []
        for name in half:
            if options.only and name not in options.only:
                continue
            row = await measure(backend, options.checkout, name, options.workers)
            rows.append(row)
            if title == "first" or options.show:
                print(line_of(row), flush=True)
                if options.show and row["verified"]:
                    print(row["verified"]["diff"])
            else:
                print(f"({len(rows)} done: {row['wall']:.1f} s)", flush=True)
        if rows:
            report(title, rows)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--half", choices=("first", "second", "both"), default="both")
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--show", action="store_true")
    parser.add_argument("--workers", type=int, default=2)
    return parser.parse_args()


if __name__ == "__main__":
    asyncio.run(run(parse(), NativeBackend()))
