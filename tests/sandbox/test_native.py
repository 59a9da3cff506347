import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from clew.core.errors import Failure, UsageError
from clew.gate.interpreter import interpreter_mounts
from clew.gate.ports.sandbox import MIB, ExecRequest, Mount, Profile
from clew.sandbox import launch
from clew.sandbox.native import NativeBackend

pytestmark = pytest.mark.sandbox
SMALL = Profile(wall_s=10, cpu_s=5, memory=128 * MIB, workspace=16 * MIB, file_size=4 * MIB, output=4096)


@pytest.fixture
def sandbox(backend):
    with backend.acquire(SMALL) as sandbox:
        yield sandbox


async def sh(sandbox, script: str, **fields):
    return await sandbox.execute(ExecRequest(argv=("sh", "-c", script), **fields))


def running(mark: str) -> bool:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if mark in (entry / "cmdline").read_text():
                    return True
            except OSError:
                continue
    return False


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def gone(mark: str) -> bool:
    deadline = time.monotonic() + 10
    while running(mark):
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.01)
    return True


def test_probe_measures_and_is_cached(backend):
    capabilities = backend.probe()
    assert capabilities.usable
    assert capabilities.holds["workspace_measured"] == "1048576 bytes"
    assert capabilities.holds["tasks_measured"] == "8"
    assert backend.probe() is capabilities


async def test_streams_and_exit_code(sandbox):
    result = await sh(sandbox, "cat; echo err >&2; exit 7", stdin=b"x" * 3000)
    assert (result.status, result.rc, result.stdout, result.stderr) == ("OK", 7, b"x" * 3000, b"err\n")
    assert result.cmd[0] == "sh"
    assert result.duration_ms >= 0
    assert result.max_rss > 0
    assert {"memory", "network", "workspace", "wall"} <= set(result.enforced)


async def test_input_that_nobody_reads(sandbox):
    assert (await sh(sandbox, "true", stdin=b"x" * 5_000_000)).rc == 0


async def test_environment_is_the_requests(sandbox, monkeypatch):
    monkeypatch.setenv("CLEW_SECRET", "s3cret")
    result = await sandbox.execute(ExecRequest(argv=("env",), env={"A": "1", "HOME": "/tmp"}))
    assert set(result.stdout.decode().split()) == {
        "A=1",
        "HOME=/tmp",
        "LANG=C.UTF-8",
        "PATH=/usr/local/bin:/usr/bin:/bin",
    }


async def test_signals_are_as_new(sandbox):
    result = await sh(sandbox, "grep -E 'Sig(Ign|Blk)' /proc/self/status")
    assert {int(line.split()[1], 16) for line in result.stdout.splitlines()} == {0}


async def test_workspace_lives_from_command_to_command_and_tmp_does_not(sandbox):
    sandbox.put("a/in.txt", b"in")
    assert (await sh(sandbox, "cat in.txt > ../out.txt; echo t > /tmp/t", cwd="/workspace/a")).rc == 0
    assert sandbox.get("out.txt") == sandbox.get("/workspace/out.txt") == b"in"
    assert (await sh(sandbox, "test -e /tmp/t")).rc == 1


async def test_commands_side_by_side(sandbox):
    results = await asyncio.gather(*(sh(sandbox, f"echo {n}; ls /proc | grep -c '^[0-9]'") for n in range(8)))
    assert [result.stdout.split()[0] for result in results] == [b"%d" % n for n in range(8)]
    assert all(int(result.stdout.split()[1]) <= 4 for result in results)


@pytest.mark.parametrize(
    ("argv", "cwd", "rc"),
    [(("nope",), "/workspace", 127), (("/etc/passwd",), "/workspace", 126), (("true",), "/nope", 127)],
)
async def test_command_that_cannot_start(sandbox, argv, cwd, rc):
    result = await sandbox.execute(ExecRequest(argv=argv, cwd=cwd))
    assert (result.status, result.rc) == ("OK", rc)
    assert b"cannot run" in result.stderr


async def test_ends_by_signal(sandbox):
    result = await sh(sandbox, "kill -SEGV $$")
    assert (result.status, result.rc, result.reason) == ("KILLED", None, "ended by SIGSEGV")


async def test_wall_limit_of_the_request(sandbox):
    result = await sh(sandbox, "sleep 60", wall_s=0.2)
    assert (result.status, result.rc) == ("TIMEOUT", None)
    assert 200 <= result.duration_ms < 5000


async def test_cpu_limit(backend):
    with backend.acquire(Profile(cpu_s=0.3, wall_s=20)) as sandbox:
        result = await sh(sandbox, "while :; do :; done")
    assert result.status == "CPU_LIMIT"
    assert 250 <= result.cpu_ms < 3000


@pytest.mark.parametrize("times", [1, 3])
async def test_cancelling_kills_the_tree_before_it_returns(sandbox, times):
    mark = f"31{os.getpid()}.{times}"
    task = asyncio.create_task(sh(sandbox, f"trap '' TERM; (setsid sleep {mark} &) ; touch up; sleep {mark}"))
    while not running(mark):
        await asyncio.sleep(0.005)
    for _ in range(times):
        task.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not running(mark)
    assert (await sh(sandbox, "echo still")).stdout == b"still\n"


async def test_closing_kills_what_runs(backend):
    mark = f"32{os.getpid()}.0"
    sandbox = backend.acquire(SMALL)
    task = asyncio.create_task(sh(sandbox, f"sleep {mark}"))
    while not running(mark):
        await asyncio.sleep(0.005)
    await asyncio.to_thread(sandbox.close)
    assert not running(mark)
    assert (await task).status == "KILLED"
    sandbox.close()
    for use in (lambda: sandbox.put("a", b""), lambda: sandbox.get("a")):
        with pytest.raises(UsageError, match="closed"):
            use()
    with pytest.raises(UsageError, match="closed"):
        await sh(sandbox, "true")


ENGINE = """
import asyncio, sys
from clew.gate.ports.sandbox import ExecRequest, Profile
from clew.sandbox.native import NativeBackend
sandbox = NativeBackend().acquire(Profile())
print(sandbox._server.pid, flush=True)
asyncio.run(sandbox.execute(ExecRequest(argv=("sh", "-c", "setsid sleep " + sys.argv[1] + " & wait"))))
"""


@pytest.mark.chaos
@pytest.mark.parametrize("victim", ["engine", "fork server", "sandbox"])
async def test_nothing_outlives_what_it_came_from(backend, victim):
    mark = f"33{os.getpid()}.{len(victim)}"
    engine = subprocess.Popen(
        [sys.executable, "-c", ENGINE, mark], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    with engine:
        server = int(engine.stdout.readline())
        tree = {"fork server": server, "sandbox": children(server)[0]}
        while not running(f"sleep\0{mark}"):
            assert engine.poll() is None
            await asyncio.sleep(0.01)
        os.kill({"engine": engine.pid, **tree}[victim], signal.SIGKILL)
        engine.wait(10)
    assert await gone(mark)
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in tree.values()) and time.monotonic() < deadline:
        await asyncio.sleep(0.01)
    assert not any(Path(f"/proc/{pid}").exists() for pid in tree.values())


async def test_mounts_are_read_only_and_where_they_are_asked_for(backend, tmp_path):
    """Also below /tmp, which is private to each command and yet has to show them."""
    (tmp_path / "data").mkdir(mode=0o755)
    (tmp_path / "data" / "x").write_text("x")
    mounts = (Mount(source=str(tmp_path / "data")), Mount(source=str(tmp_path / "data"), target="/opt/there"))
    with backend.acquire(Profile(mounts=mounts)) as sandbox:
        for folder in (tmp_path / "data", "/opt/there"):
            result = await sh(
                sandbox, f"cat {folder}/x; touch {folder}/y || rm -f {folder}/x; echo t > /tmp/t && cat /tmp/t"
            )
            assert result.stdout == b"xt\n", result
    assert (tmp_path / "data" / "x").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root shows what the sandbox's user cannot read")
def test_unreadable_mount_is_a_clear_error(backend, tmp_path):
    (tmp_path / "private").mkdir(mode=0o700)
    with pytest.raises(Failure, match=r"not readable by the sandbox's user.*chmod") as caught:
        backend.acquire(Profile(mounts=(Mount(source=str(tmp_path / "private")),)))
    assert caught.value.code == "sandbox_mount"


@pytest.mark.parametrize(
    ("mount", "error"),
    [
        (Mount(source="/no/such"), Failure),
        (Mount(source="relative"), UsageError),
        (Mount(source="/usr", target="../x"), UsageError),
        (Mount(source="/usr", target="/a/../b"), UsageError),
        (Mount(source="/usr", target="x"), UsageError),
        (Mount(source="/usr", target="/workspace"), Failure),
        (Mount(source="/usr", target="/workspace/x"), Failure),
        (Mount(source="/usr", target="/proc/x"), Failure),
        (Mount(source="/usr", target="/usr/no/such/place"), Failure),
        (Mount(source="/"), UsageError),
        (Mount(source="/proc"), UsageError),
        (Mount(source="/proc/self/root"), UsageError),
        (Mount(source="/sys/kernel"), UsageError),
    ],
)
def test_mounts_that_are_refused(backend, mount, error):
    with pytest.raises(error):
        backend.acquire(Profile(mounts=(mount,)))


async def test_target_over_a_link_is_refused(backend, tmp_path):
    (tmp_path / "tree").mkdir(mode=0o755)
    (tmp_path / "tree" / "link").symlink_to("/etc")
    mounts = (Mount(source=str(tmp_path / "tree"), target="/t"), Mount(source="/usr/share", target="/t/link/x"))
    with pytest.raises(Failure, match="is a link"):
        backend.acquire(Profile(mounts=mounts))


@pytest.mark.parametrize("python", [sys.executable, str(Path(sys.executable).resolve())])
async def test_this_interpreter_runs_inside(backend, python):
    with backend.acquire(Profile(mounts=interpreter_mounts(python))) as sandbox:
        code = "import sys, ssl, sqlite3, asyncio, ctypes; asyncio.run(asyncio.sleep(0)); print(sys.prefix)"
        result = await sandbox.execute(ExecRequest(argv=(python, "-c", code)))
    assert (result.rc, result.stderr) == (0, b"")
    assert result.stdout.decode().strip() == (sys.prefix if python == sys.executable else sys.base_prefix)


@pytest.mark.parametrize("field", ["wall_s", "cpu_s", "memory", "processes", "open_files", "file_size", "workspace"])
def test_profiles_that_make_no_sense(field):
    with pytest.raises(UsageError, match=field):
        NativeBackend().acquire(Profile(**{field: 0}))


@pytest.mark.parametrize(
    "request_",
    [
        ExecRequest(argv=()),
        ExecRequest(argv=("",)),
        ExecRequest(argv=("a\0b",)),
        ExecRequest(argv=("a",), cwd="\0"),
        ExecRequest(argv=("a",), env={"A=B": "1"}),
        ExecRequest(argv=("a",), env={"A": "\0"}),
        ExecRequest(argv=("a",), wall_s=0),
    ],
)
async def test_requests_that_make_no_sense(sandbox, request_):
    with pytest.raises(UsageError):
        await sandbox.execute(request_)


async def test_too_many_arguments(sandbox):
    result = await sandbox.execute(ExecRequest(argv=("true", "x" * 200_000)))
    assert (result.status, result.rc) == ("OK", 126)


@pytest.mark.parametrize("layer", ["drop_privileges", "load_filter", "set_hostname", "pivot_root"])
async def test_a_layer_that_fails_stops_the_command(layer, backend, monkeypatch):
    boot = "import sys; sys.path.insert(0, sys.argv[1]); from runner import kernel, forkserver\ncalls = []\n"
    boot += f"real = kernel.{layer}\ndef fail(*a):\n    calls.append(a)\n"
    boot += "    if len(calls) > skip: raise PermissionError(1, 'refused')\n    return real(*a)\n"
    boot += f"skip = {1 if layer == 'pivot_root' else 0}\nkernel.{layer} = fail\n"
    monkeypatch.setattr(launch, "BOOT", boot + "forkserver.main(int(sys.argv[2]), int(sys.argv[3]))")
    with pytest.raises(Failure, match=r"refused|probe"):
        NativeBackend(("namespaces",)).acquire(SMALL)
    broken = NativeBackend(("namespaces",))
    broken._capabilities = backend.probe()  # as if the layer broke later
    with broken.acquire(SMALL) as sandbox:
        result = await sh(sandbox, "echo ran > /workspace/ran; echo ran")
        assert result.stdout == b""
        assert (result.status == "INTERNAL_ERROR" and "refused" in result.reason) or result.rc == 126
        with pytest.raises(UsageError):
            sandbox.get("ran")


IDENTITY = """
import asyncio
from clew.gate.ports.sandbox import ExecRequest, Profile
from clew.sandbox.native import NativeBackend
backend = NativeBackend(("namespaces",))
if not backend.probe().usable:
    print(backend.probe().reason)
else:
    with backend.acquire(Profile()) as sandbox:
        sandbox.put("d/in", b"in")
        result = asyncio.run(sandbox.execute(ExecRequest(argv=("sh", "-c", "id -u; cat d/in > d/out"))))
        print(result.stdout.decode().strip(), sandbox.get("d/out").decode())
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="takes powers from root")
@pytest.mark.parametrize(
    ("wrapper", "outcome"),
    [
        (("setpriv", "--bounding-set=-sys_admin"), "1000 in"),
        (("setpriv", "--bounding-set=-setuid"), "may not become another user"),
        (("setpriv", "--bounding-set=-all"), "may not become another user"),
        (("unshare", "-U", "-r"), "no unprivileged uid to drop to"),
    ],
)
def test_kinds_of_root(backend, wrapper, outcome):
    """Root as containers know it: without CAP_SYS_ADMIN the user's way is taken; who cannot stop being root is refused."""
    if shutil.which(wrapper[0]) is None:
        pytest.skip(f"no {wrapper[0]}")
    done = subprocess.run([*wrapper, sys.executable, "-c", IDENTITY], capture_output=True, text=True, timeout=60)
    assert outcome in done.stdout, done.stdout + done.stderr


def test_runner_that_dies_at_once(monkeypatch):
    monkeypatch.setattr(launch, "BOOT", "raise SystemExit(3)")
    with pytest.raises(Failure, match="runner") as caught:
        NativeBackend().acquire(Profile())
    assert caught.value.code == "sandbox_unavailable"
