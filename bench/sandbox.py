"""The sandbox, measured: how soon code runs, how soon it is gone, what a parked child costs.

    python bench/sandbox.py [--json] [--rounds 100] [--tier namespaces] [--realtime]

cold: a sandbox is acquired and prints its first byte. warm: an execution handed to a parked child prints its first byte. Both take
the moment from the machine's monotonic clock, inside and outside, and once for a script on the preloaded interpreter, once for a
program that is started (``date``). reaped: from the kill of a tree to the engine knowing that it is dead. ended: from the last act
of a command to its result. fifty: as many executions at once in one sandbox. parked: memory that nobody shares with the three
processes of a parked child. floor: from the kill of one plain process to its parent knowing it, which is the machine's own part
of reaped. load: of the last minute, before and after. Where a machine is shared, what others do is in every figure; --realtime
(root) has everything here run before them, as on an idle machine, and is to be named with the figures.
"""

import argparse
import asyncio
import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from clew.gate.interpreter import interpreter_mounts
from clew.gate.ports.sandbox import MIB, ExecRequest, Profile
from clew.sandbox.launch import Tier
from clew.sandbox.native import NativeBackend, NativeSandbox

GOALS = {"cold": 60.0, "warm": 3.0, "reaped": 5.0, "fifty": 500.0, "parked": 3.0}
PYTHON = os.path.realpath(sys.executable)
SCRIPT = b"import time\nprint(time.monotonic_ns())\n"
WARM = ExecRequest(argv=(PYTHON, "/workspace/main.py"), preloaded=True)
STARTED = ExecRequest(argv=("date", "+%s%N"))
PAUSE_S = 0.05
"""Between executions: an agent thinks longer."""


def spread(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {"p50": round(ordered[len(ordered) // 2], 2), "p95": round(ordered[int(len(ordered) * 0.95)], 2)}


async def first_byte(sandbox: NativeSandbox, request: ExecRequest) -> tuple[float, float]:
    """Milliseconds to the first byte, and from there to the result."""
    began = time.monotonic()
    result = await sandbox.execute(request)
    ended = time.monotonic()
    assert (result.status, result.rc) == ("OK", 0), result
    said = int(result.stdout) / 1e9
    at = said if request.preloaded else said - time.time() + time.monotonic()
    return (at - began) * 1000, (ended - at) * 1000


def profile() -> Profile:
    return Profile(memory=256 * MIB, mounts=interpreter_mounts(PYTHON))


async def cold(backend: NativeBackend, rounds: int) -> dict[str, float]:
    taken: list[float] = []
    for _ in range(rounds):
        began = time.monotonic()
        with backend.acquire(profile()) as sandbox:
            sandbox.put("main.py", SCRIPT)
            result = await sandbox.execute(WARM)
        taken.append((int(result.stdout) / 1e9 - began) * 1000)
    return spread(taken)


async def warm(backend: NativeBackend, rounds: int, request: ExecRequest) -> tuple[dict[str, float], dict[str, float]]:
    with backend.acquire(profile()) as sandbox:
        sandbox.put("main.py", SCRIPT)
        taken: list[tuple[float, float]] = []
        for _ in range(rounds):
            await asyncio.sleep(PAUSE_S)
            taken.append(await first_byte(sandbox, request))
    return spread([first for first, _ in taken]), spread([rest for _, rest in taken])


async def reaped(backend: NativeBackend, rounds: int) -> dict[str, float]:
    taken: list[float] = []
    with backend.acquire(profile()) as sandbox:
        for _ in range(rounds):
            request = ExecRequest(argv=("sh", "-c", "sleep 60 & setsid sleep 60 & sleep 60"))
            task = asyncio.create_task(sandbox.execute(request))
            await asyncio.sleep(PAUSE_S)
            began = time.monotonic()
            task.cancel()
            await asyncio.wait([task])
            taken.append((time.monotonic() - began) * 1000)
    return spread(taken)


def floor(rounds: int) -> dict[str, float]:
    taken: list[float] = []
    for _ in range(rounds):
        with subprocess.Popen(["sleep", "60"]) as process:
            time.sleep(PAUSE_S)
            pidfd = os.pidfd_open(process.pid)
            began = time.monotonic()
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            select.select([pidfd], [], [])
            process.wait()
            taken.append((time.monotonic() - began) * 1000)
            os.close(pidfd)
    return spread(taken)


async def fifty(backend: NativeBackend, rounds: int) -> dict[str, float]:
    taken: list[float] = []
    with backend.acquire(profile()) as sandbox:
        sandbox.put("main.py", SCRIPT)
        for _ in range(max(5, rounds // 10)):
            await asyncio.sleep(4 * PAUSE_S)
            began = time.monotonic()
            results = await asyncio.gather(*(sandbox.execute(WARM) for _ in range(50)))
            taken.append((time.monotonic() - began) * 1000)
            assert all(result.rc == 0 for result in results)
    return spread(taken)


async def parked(backend: NativeBackend) -> dict[str, float]:
    """MiB for each process of a parked child, counted from the supervisor down."""
    with backend.acquire(profile()) as sandbox:
        await asyncio.sleep(10 * PAUSE_S)
        server = _children(sandbox._server.pid)[0]
        supervisor = _children(server)[0]
        first = _children(supervisor)[0]
        sizes = [_private(pid) for pid in (supervisor, first, _children(first)[0])]
    return {**dict(zip(("supervisor", "first", "command"), sizes, strict=True)), "all": round(sum(sizes), 2)}


def _children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _private(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return round(sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024, 2)


async def measure(rounds: int, tier: Tier) -> dict[str, Any]:
    backend = NativeBackend((tier,))
    capabilities = backend.probe()
    if not capabilities.usable:
        sys.exit(capabilities.reason)
    load = os.getloadavg()[0]
    first, rest = await warm(backend, rounds, WARM)
    first_started, rest_started = await warm(backend, rounds, STARTED)
    return {
        "tier": tier,
        "cold": await cold(backend, rounds),
        "warm": first,
        "warm, a program started": first_started,
        "reaped": await reaped(backend, rounds),
        "floor": floor(rounds),
        "ended": rest,
        "ended, a program started": rest_started,
        "fifty": await fifty(backend, rounds),
        "parked": await parked(backend),
        "load": {"before": round(load, 2), "after": round(os.getloadavg()[0], 2)},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--tier", choices=("namespaces", "landlock"), default="namespaces")
    parser.add_argument("--realtime", action="store_true")
    wanted = parser.parse_args()
    if wanted.realtime:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    found = asyncio.run(measure(wanted.rounds, wanted.tier))
    if wanted.json:
        print(json.dumps(found))
        return
    print(f"sandbox, tier {found.pop('tier')}, {wanted.rounds} rounds")
    for name, figures in found.items():
        unit = {"parked": "MiB", "load": ""}.get(name, "ms")
        goal = f"goal {GOALS[name]:g} {unit}" if name in GOALS else ""
        print(f"{name:28} {', '.join(f'{key} {value:g}' for key, value in figures.items()):52} {unit:4} {goal}")


if __name__ == "__main__":
    main()
