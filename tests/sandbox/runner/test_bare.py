"""The tier without namespaces, with the system's interpreter and shell alone."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from clew.core.errors import Failure
from clew.gate.ports.sandbox import MIB, ExecRequest, Mount, Profile
from clew.sandbox import launch
from clew.sandbox.native import NativeBackend
from clew.sandbox.runner import bare, landlock

pytestmark = [
    pytest.mark.xdist_group("bare"),
    pytest.mark.sandbox,
    pytest.mark.skipif(landlock.abi() < landlock.NEEDED_ABI, reason="this kernel's Landlock is too old"),
]
SMALL = Profile(wall_s=10, cpu_s=5, memory=128 * MIB, workspace=4 * MIB, file_size=2 * MIB, processes=8)

DEEP = 'import os, time\nfor _ in range(300): os.mkdir("d" * 200); os.chdir("d" * 200)\ntime.sleep(20)'


@pytest.fixture(scope="module")
def backend():
    return NativeBackend(("landlock",))


@pytest.fixture
def sandbox(backend):
    with backend.acquire(SMALL) as sandbox:
        yield sandbox


async def sh(sandbox, script: str, **fields):
    return await sandbox.execute(ExecRequest(argv=("sh", "-c", script), **fields))


def running(mark: str) -> bool:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if mark in path.read_text():
                return True
        except OSError:
            continue
    return False


def test_probe_says_what_is_weaker(backend):
    holds = backend.probe().holds
    assert backend.probe().usable
    assert holds["tier"] == "landlock"
    assert {name for name, verdict in holds.items() if "WEAKER" in verdict} == {
        *("processes", "workspace", "filesystem", "privileges")
    }


def test_it_is_taken_when_namespaces_are_forbidden(monkeypatch):
    boot = "import sys; sys.path.insert(0, sys.argv[1]); from runner import kernel, forkserver\n"
    boot += "def refuse(flags): raise PermissionError(1, 'unshare: Operation not permitted')\nkernel.unshare = refuse\n"
    monkeypatch.setattr(launch, "BOOT", boot + "forkserver.main(int(sys.argv[2]), int(sys.argv[3]))")
    backend = NativeBackend()
    holds = backend.probe().holds
    assert holds["tier"] == "landlock"
    assert holds["namespaces"].startswith("WEAKER: none; user namespaces are not allowed here: ")
    backend.acquire(SMALL).close()


async def test_workspace_by_its_usual_name(sandbox):
    sandbox.put("a/in", b"in")
    result = await sh(
        sandbox,
        "cat /workspace/a/in $FILE > out; pwd; echo $HOME > $TMPDIR/x; cp $TMPDIR/x /workspace/home",
        cwd="/workspace/a",
        env={"FILE": "/workspace/a/in"},
    )
    assert (result.status, result.rc, result.stderr) == ("OK", 0, b"")
    assert sandbox.get("a/out") == b"inin"
    assert result.stdout.decode().strip() == f"{sandbox.get('home').decode().strip()}/a"


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("/workspace", "B/workspace"),
        ("/workspace/a:/workspace", "B/workspace/a:B/workspace"),
        ("--out=/workspace/x", "--out=B/workspace/x"),
        ("/home/me/workspace/x", "/home/me/workspace/x"),
        ("/workspaces", "/workspaces"),
    ],
)
def test_names_of_the_workspace(text, meant):
    assert bare.real(text, "B") == meant


@pytest.mark.parametrize("ending", ["ends", "is killed", "is cancelled"])
async def test_the_whole_tree_is_gone(sandbox, ending):
    mark = f"41{os.getpid()}.{len(ending)}"
    script = f"trap '' TERM HUP INT; (setsid sleep {mark} &); (setsid sh -c 'sleep {mark} & wait' &); "
    task = asyncio.create_task(
        sh(
            sandbox,
            script + ("sleep 0.1" if ending == "ends" else "sleep 60"),
            wall_s=0.3 if "killed" in ending else None,
        )
    )
    if ending == "is cancelled":
        while not running(mark):
            await asyncio.sleep(0.005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    else:
        assert (await task).status == ("OK" if ending == "ends" else "TIMEOUT")
    assert not running(mark)


ENGINE = """
import asyncio, sys
from clew.gate.ports.sandbox import ExecRequest, Profile
from clew.sandbox.native import NativeBackend
sandbox = NativeBackend(("landlock",)).acquire(Profile())
print(sandbox._server.pid, flush=True)
asyncio.run(sandbox.execute(ExecRequest(argv=("sh", "-c", "setsid sleep " + sys.argv[1] + " & wait"))))
"""


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.chaos
@pytest.mark.parametrize("victim", ["engine", "fork server", "sandbox", "supervisor", "first process"])
async def test_nothing_outlives_what_it_came_from(backend, victim):
    mark = f"42{os.getpid()}.{len(victim)}"
    engine = subprocess.Popen(
        [sys.executable, "-c", ENGINE, mark], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    with engine:
        server = int(engine.stdout.readline())
        while not running(f"sleep\0{mark}"):
            assert engine.poll() is None
            await asyncio.sleep(0.01)
        sandbox = children(server)[0]
        busy = next(pid for pid in children(sandbox) if any(children(grandchild) for grandchild in grown(pid)))
        pids = [engine.pid, server, sandbox, busy, children(busy)[0]]
        names = ("engine", "fork server", "sandbox", "supervisor", "first process")
        os.kill(dict(zip(names, pids, strict=True))[victim], signal.SIGKILL)
        deadline = time.monotonic() + 10
        while running(f"sleep\0{mark}") and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        assert not running(f"sleep\0{mark}")
        engine.kill()


def grown(pid: int) -> list[int]:
    """Commands of a supervisor: its first process' children."""
    return [command for first in children(pid) for command in children(first)]


async def test_closing_removes_everything(backend):
    sandbox = backend.acquire(SMALL)
    script = "mkdir -m 0 shut; mkdir -p $(printf 'd/%.0s' $(seq 500)) && cd $(printf 'd/%.0s' $(seq 400)) && touch x; cd; pwd"
    base = Path((await sh(sandbox, script)).stdout.decode().strip()).parent
    assert base.is_dir()
    sandbox.close()
    assert not base.exists()


async def test_what_was_abandoned_is_removed(backend, sandbox):
    with backend.acquire(SMALL) as other:
        places = [(await sh(one, "mkdir x; pwd")).stdout.decode().strip() for one in (sandbox, other)]
        in_use = [Path(place).parent for place in places]
        left = in_use[0].with_name("clew-" + "0" * 24)
        shutil.copytree(in_use[0], left)
        for folder in (*in_use, left):
            os.chown(folder, in_use[0].stat().st_uid, -1)
            os.utime(folder, (0, 0))
        for folder in left.rglob("*"):
            os.chown(folder, in_use[0].stat().st_uid, -1)
        backend.acquire(SMALL).close()
        assert not left.exists()
        assert all(folder.exists() for folder in in_use)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("for n in 1 2 3 4 5 6; do head -c 1500000 /dev/zero > $n; done; sleep 20", "bytes in the workspace"),
        (f"exec python3 -S -E -c '{DEEP}'", "bytes in the workspace"),
    ],
)  # fmt: skip
async def test_a_workspace_that_grows_too_large(sandbox, script, reason):
    started = time.monotonic()
    result = await sh(sandbox, script)
    assert result.status == "KILLED"
    assert reason in result.reason
    assert time.monotonic() - started < 9


async def test_memory_and_processes(sandbox):
    eat = "import time; keep = [bytearray(b'x') * (30 << 20) for _ in range(3)]; time.sleep(20)"
    result = await sh(sandbox, f'for n in 1 2; do python3 -S -E -c "{eat}" & done; wait')
    assert result.status == "MEM_LIMIT", result
    result = await sh(sandbox, "for n in $(seq 40); do sleep 20 & done; wait")
    assert (result.status, result.rc) != ("OK", 0)
    assert result.duration_ms < 5000


async def test_other_processes_of_the_user_cost_a_command_nothing(sandbox):
    """They count against the kernel's limit, and may come after the child was parked."""
    uid = sandbox._workspace._uid
    become = {"user": uid, "group": uid, "extra_groups": ()} if os.geteuid() == 0 else {}
    assert (await sh(sandbox, "ls /usr; pwd")).rc == 0
    others = [subprocess.Popen(["sleep", "60"], **become) for _ in range(3 * SMALL.processes)]
    try:
        assert (await sh(sandbox, "ls /usr; pwd")).stdout.endswith(b"/workspace\n")
    finally:
        for other in others:
            other.kill()
            other.wait()


async def test_a_mount_is_readable_where_it_is_and_nowhere_else(backend, tmp_path):
    with pytest.raises(Failure) as caught:
        backend.acquire(Profile(mounts=(Mount("/usr/share", "/other"),)))
    assert caught.value.code == "sandbox_mount"
    if os.geteuid() == 0:
        (tmp_path / "private").mkdir(mode=0o700)
        with pytest.raises(Failure, match="not readable"):
            backend.acquire(Profile(mounts=(Mount(str(tmp_path / "private")),)))


def test_without_any_tier_nothing_runs(monkeypatch):
    boot = "import sys; sys.path.insert(0, sys.argv[1]); from runner import kernel, landlock, forkserver\n"
    boot += "def refuse(flags): raise PermissionError(1, 'unshare: Operation not permitted')\nkernel.unshare = refuse\n"
    boot += "landlock.abi = lambda: 4\n"
    monkeypatch.setattr(launch, "BOOT", boot + "forkserver.main(int(sys.argv[2]), int(sys.argv[3]))")
    backend = NativeBackend()
    assert not backend.probe().usable
    assert "user namespaces are not allowed" in backend.probe().reason
    assert "Landlock ABI 6 is needed, this kernel has 4" in backend.probe().reason
    with pytest.raises(Failure) as caught:
        backend.acquire(Profile())
    assert caught.value.code == "sandbox_unavailable"
    assert caught.value.hint


@pytest.mark.parametrize(
    "layer", ["landlock.restrict", "landlock.restrict_signals", "kernel.load_filter", "kernel.drop_capabilities"]
)
async def test_a_layer_that_does_nothing_or_fails_is_noticed(layer, monkeypatch):
    """Left out without a word, it shows in the probe or in the proof before anything is killed."""
    boot = "import sys; sys.path.insert(0, sys.argv[1]); from runner import kernel, landlock, forkserver\n"
    boot += f"{layer} = lambda *_: None\n"
    monkeypatch.setattr(launch, "BOOT", boot + "forkserver.main(int(sys.argv[2]), int(sys.argv[3]))")
    assert not NativeBackend(("landlock",)).probe().usable
