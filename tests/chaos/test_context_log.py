"""SIGKILL in the middle of writes to a log of documents, and writers side by side.

The file is also the program that does it, in a process without threads: ``kill`` forks a writer and kills it again and again, and
judges the log each time; ``count`` forks writers that count in one document.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import pytest
from trials import SEED, TALLY, Trials

from clew.context.log.jsonl import JsonlLog
from clew.context.log.port import Log, VersionConflict
from clew.context.log.sqlite import SqliteLog
from clew.gate.ports.context import Put, Remove

BACKENDS = {"sqlite": SqliteLog, "jsonl": JsonlLog}
AT = 1_732_272_000_000
KILLS = 50
WRITERS, STEPS = 4, 40

# -- the tests -------------------------------------------------------------------------------------------------------


def program(*arguments: Any) -> dict[str, Any]:
    command = [sys.executable, "-W", "error", __file__, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def folder(trials: Trials) -> Path:
    return trials.directory()


@pytest.mark.chaos
@pytest.mark.slow
@pytest.mark.parametrize("backend", sorted(BACKENDS))
def test_nothing_acknowledged_is_lost(backend: str, folder: Path, seed: str) -> None:
    told = program("kill", backend, folder, f"{SEED} {seed}")
    assert told["kills"] == KILLS
    assert told["acknowledged"] > KILLS
    TALLY[f"kills of a writer of context ({backend})"] += told["kills"]
    TALLY[f"acknowledged writes of context judged ({backend})"] += told["acknowledged"]


@pytest.mark.chaos
@pytest.mark.slow
@pytest.mark.parametrize("backend", sorted(BACKENDS))
def test_no_update_is_lost_between_processes(backend: str, folder: Path) -> None:
    told = program("count", backend, folder)
    assert told["text"] == str(WRITERS * STEPS)
    assert told["versions"] == list(range(1, WRITERS * STEPS + 1))
    assert sorted(told["origins"]) == sorted(f"writer {w}" for w in range(WRITERS) for _ in range(STEPS))


# -- the program: kills ----------------------------------------------------------------------------------------------


class State:
    """What a log must hold: live texts, labels, vectors."""

    def __init__(self) -> None:
        self.live: dict[str, str] = {}
        self.labels: set[str] = set()
        self.vectors: dict[str, str] = {}

    def after(self, step: dict[str, Any]) -> "State":
        new = State()
        new.live, new.labels, new.vectors = dict(self.live), set(self.labels), dict(self.vectors)
        for name, text in step.get("put", {}).items():
            if new.live.get(name) != text:
                new.vectors.pop(name, None)
            new.live[name] = text
        for name in step.get("remove", []):
            new.live.pop(name, None)
            new.vectors.pop(name, None)
        new.labels |= {*step.get("label", [])}
        for name in step.get("attach", []):
            if name in new.live:
                new.vectors[name] = step["vector"]
        return new

    def told(self) -> tuple[Any, ...]:
        return self.live, self.labels, self.vectors


def drawn(draw: random.Random, number: str) -> dict[str, Any]:
    """One step of a writer."""
    names = [f"doc {draw.randrange(40)}" for _ in range(draw.choice([1, 1, 1, 5, 30]))]
    kind = draw.choices(["put", "both", "label", "attach", "compact"], [10, 5, 2, 3, 1])[0]
    if kind == "label":
        return {"label": [number]}
    if kind == "attach":
        return {"attach": sorted(set(names)), "vector": (f"{draw.randrange(10**8):08}" * draw.choice([1, 400]))}
    if kind == "compact":
        return {"compact": True}
    texts = {name: f"{number} " + "x" * draw.choice([0, 10, 5000]) for name in names}
    return {"put": texts, "remove": [f"doc {draw.randrange(40)}"] if kind == "both" else []}


def apply(log: Log, step: dict[str, Any]) -> None:
    if "label" in step:
        log.label(step["label"][0], AT)
    elif "attach" in step:
        found = log.get_many(step["attach"])
        log.attach([(version.n, "m", step["vector"].encode()) for version in found.values()])
    elif "compact" in step:
        log.compact(log.head() - 20)
    else:
        changes = [Put(id=name, text=text) for name, text in step["put"].items()]
        log.write([*changes, *(Remove(id=name) for name in step["remove"])], AT)


def writer(backend: Any, path: Path, seed: str, pipe: int) -> None:
    """Says what it is about to do, does it, says so."""
    draw = random.Random(seed)
    log = backend.open(path)
    for number in range(100_000):
        step = drawn(draw, f"{seed} step {number}")
        os.write(pipe, json.dumps(step).encode() + b"\n")
        apply(log, step)
        os.write(pipe, b"done\n")


def held(log: Log) -> State:
    found = State()
    for version in log.live_at(log.head()):
        found.live[version.id] = version.text
        if version.vector:
            found.vectors[version.id] = version.vector.decode()
    found.labels = {*log.labels()}
    return found


def whole(log: Log) -> None:
    """The log agrees with itself."""
    versions, places = [], 0
    while page := log.since(places, 100):
        versions += page
        places = page[-1].n
    newest = {version.id: version for version in versions}
    live = {name: version for name, version in newest.items() if not version.deleted}
    assert log.get_many(list(newest)) == live
    assert (log.count(), sorted(log.ids()), log.head()) == (len(live), sorted(live), places)
    assert [version.n for version in versions] == sorted({version.n for version in versions})
    assert log.size() == sum(len(version.text) + len(version.id) for version in live.values())
    for name in list(newest)[:5]:
        numbers = [version.version for version in log.history(name)]
        assert numbers == sorted(set(numbers))
    for label in [*log.labels().values()][-5:]:
        list(log.live_at(label.n))


def killing(backend: Any, folder: Path, seed: str) -> dict[str, Any]:
    draw, state, acknowledged, path = random.Random(seed), State(), 0, folder / "truth"
    for kill in range(KILLS):
        steps, killed = one(backend, path, f"{seed} {kill}", draw.uniform(0.005, 0.12))
        acknowledged += sum(done for _, done in steps)
        allowed = [state]
        for step, done in steps:
            after = allowed[-1].after(step)
            allowed = [after] if done else [allowed[-1], after]
        log = backend.open(path)
        found = held(log)
        matching = [one_ for one_ in allowed if one_.told() == found.told()]
        assert matching, f"kill {kill}: {len(steps)} steps; {differing(found, allowed)}"
        assert killed
        whole(log)
        log.close()
        state = matching[0]
    return {"kills": KILLS, "acknowledged": acknowledged}


def differing(found: State, allowed: list[State]) -> str:
    return " or ".join(
        repr([[k for k in {*a, *b} if not (k in a and k in b)] for a, b in zip(found.told(), s.told(), strict=True)])
        for s in allowed
    )


def one(backend: Any, path: Path, seed: str, after_s: float) -> tuple[list[tuple[dict[str, Any], bool]], bool]:
    """What a writer said it would do, and whether it said that it was done, until it was killed."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            writer(backend, path, seed, writing)
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
        finally:
            os._exit(1)
    os.close(writing)
    os.set_blocking(reading, False)
    said, until = b"", time.monotonic() + after_s
    while time.monotonic() < until:
        said += read(reading)
        time.sleep(0.001)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    while more := read(reading):
        said += more
    os.close(reading)
    steps: list[tuple[dict[str, Any], bool]] = []
    for line in said.split(b"\n")[:-1]:
        if line == b"done":
            steps[-1] = (steps[-1][0], True)
        else:
            steps.append((json.loads(line), False))
    return steps, os.WIFSIGNALED(status)


def read(pipe: int) -> bytes:
    try:
        return os.read(pipe, 1 << 20)
    except BlockingIOError:
        return b""


# -- the program: counting -------------------------------------------------------------------------------------------


def counting(backend: Any, folder: Path) -> dict[str, Any]:
    path = folder / "truth"
    children = []
    for number in range(WRITERS):
        child = os.fork()
        if child == 0:
            try:
                count(backend, path, number)
                os._exit(0)
            except BaseException:
                traceback.print_exc()
                sys.stderr.flush()
            finally:
                os._exit(1)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * WRITERS
    log = backend.open(path)
    history = log.history("counter")
    log.close()
    return {
        "text": history[-1].text, "versions": [v.version for v in history], "origins": [v.origin for v in history],
    }  # fmt: skip


def count(backend: Any, path: Path, number: int) -> None:
    log = backend.open(path)
    done = 0
    while done < STEPS:
        live = log.get("counter")
        text = str(int(live.text if live else 0) + 1)
        change = Put(id="counter", text=text, origin=f"writer {number}", expected=live.version if live else 0)
        try:
            log.write([change], AT)
        except VersionConflict:
            continue
        done += 1
    log.close()


if __name__ == "__main__":
    what, name, where, *more_arguments = sys.argv[1:]
    work = killing if what == "kill" else counting
    print(json.dumps(work(BACKENDS[name], Path(where), *more_arguments)))
