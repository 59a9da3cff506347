"""The port over the real agent and runner; only the container round them is missing here (see tests/contracts/sandbox)."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from clew.core.errors import Failure, UsageError
from clew.gate.ports.sandbox import MIB, ExecRequest, Mount, Profile
from clew.sandbox.docker import backend as module
from clew.sandbox.docker.backend import DockerBackend

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


async def until(condition) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


def test_probe_says_what_the_container_and_the_runner_hold(backend):
    capabilities = backend.probe()
    assert (capabilities.name, capabilities.usable) == ("docker", True)
    assert capabilities.holds["image"] == "image:1"
    assert capabilities.holds["container_network"] == "none"
    assert capabilities.holds["attempts"].startswith("refused: ")
    assert backend.probe() is capabilities


async def test_streams_exit_code_and_what_holds(sandbox):
    result = await sh(sandbox, "cat; echo err >&2; exit 7", stdin=b"x" * 3000)
    assert (result.status, result.rc, result.stdout, result.stderr) == ("OK", 7, b"x" * 3000, b"err\n")
    assert result.cmd == ("sh", "-c", "cat; echo err >&2; exit 7")
    assert {"wall", "memory", "container_root"} <= set(result.enforced)


async def test_large_streams(sandbox):
    result = await sh(
        sandbox, "cat >/dev/null; head -c 300000 /dev/zero; head -c 5 /dev/zero >&2", stdin=b"x" * 3_000_000
    )
    assert (len(result.stdout), result.stdout_dropped, len(result.stderr)) == (4096, 300_000 - 4096, 5)


async def test_preloaded(sandbox):
    sandbox.put("main.py", b"import sys; print(sys.version_info[:2], sys.argv)")
    result = await sandbox.execute(ExecRequest(argv=("/any/python", "/workspace/main.py", "a"), preloaded=True))
    assert result.stdout.decode() == f"{sys.version_info[:2]} ['/workspace/main.py', 'a']\n"


async def test_commands_side_by_side(sandbox):
    results = await asyncio.gather(*(sh(sandbox, f"echo {n}") for n in range(6)))
    assert [result.stdout for result in results] == [b"%d\n" % n for n in range(6)]


async def test_time_limit(sandbox):
    result = await sh(sandbox, "sleep 60", wall_s=0.2)
    assert (result.status, result.rc) == ("TIMEOUT", None)


@pytest.mark.parametrize("times", [1, 3])
async def test_cancelling_kills_the_tree_before_it_returns(sandbox, times):
    mark = f"41{os.getpid()}.{times}"
    task = asyncio.create_task(sh(sandbox, f"trap '' TERM; (setsid sleep {mark} &) ; sleep {mark}"))
    await until(lambda: running(mark))
    for _ in range(times):
        task.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not running(mark)
    assert (await sh(sandbox, "echo still")).stdout == b"still\n"


async def test_closing_kills_what_runs(backend):
    mark = f"42{os.getpid()}.0"
    sandbox = backend.acquire(SMALL)
    task = asyncio.create_task(sh(sandbox, f"sleep {mark}"))
    await until(lambda: running(mark))
    await asyncio.to_thread(sandbox.close)
    assert not running(mark)
    assert (await task).status == "KILLED"
    sandbox.close()
    for use in (lambda: sandbox.put("a", b""), lambda: sandbox.get("a")):
        with pytest.raises(UsageError, match="closed"):
            use()
    with pytest.raises(UsageError, match="closed"):
        await sh(sandbox, "true")


async def test_a_container_that_dies_meanwhile(backend):
    mark = f"43{os.getpid()}.0"
    with backend.acquire(SMALL) as sandbox:
        task = asyncio.create_task(sh(sandbox, f"sleep {mark}"))
        await until(lambda: running(mark))
        sandbox._container.process.kill()
        result = await task
        assert (result.status, result.rc) == ("INTERNAL_ERROR", None)
        assert "container is gone" in result.reason
        for use in (lambda: sandbox.put("a", b""), lambda: sandbox.get("a"), sandbox.measure):
            with pytest.raises(Failure, match="gone") as caught:
                use()
            assert caught.value.code == "sandbox_lost"
        with pytest.raises(Failure, match="gone"):
            await sh(sandbox, "true")
        await until(lambda: not running(mark))


@pytest.mark.parametrize("how", ["wait", "cancel", "close"])
async def test_a_container_that_hangs_is_removed(docker, monkeypatch, how):
    monkeypatch.setattr(module, "_SPARE_S", 0.3 if how == "wait" else 30)
    monkeypatch.setattr(module, "_END_S", 0.3)
    sandbox = DockerBackend().acquire(SMALL)
    try:
        os.kill(sandbox._container.process.pid, signal.SIGSTOP)
        if how != "close":
            task = asyncio.create_task(sh(sandbox, "true", wall_s=0.1))
            await asyncio.sleep(0)
            if how == "cancel":
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            else:
                assert (await task).status == "INTERNAL_ERROR"
    finally:
        await asyncio.to_thread(sandbox.close)
    assert ["--force", sandbox._container.name] in docker.calls("rm")
    assert sandbox._container.process.returncode == -signal.SIGKILL


def test_an_engine_that_never_starts_it(docker, monkeypatch):
    monkeypatch.setattr(module, "_START_S", 0.3)
    monkeypatch.setattr(module, "_END_S", 0.1)
    docker.scenario(hang=["run"])
    with pytest.raises(Failure, match="does not answer") as caught:
        DockerBackend().acquire(SMALL)
    assert caught.value.code == "sandbox_unavailable"
    assert docker.calls("rm")


def test_an_engine_that_does_not_even_remove(docker, monkeypatch):
    monkeypatch.setattr(module, "_START_S", 0.3)
    monkeypatch.setattr(module, "_END_S", 0.1)
    monkeypatch.setattr("clew.sandbox.docker.container._ANSWER_S", 0.3)
    docker.scenario(hang=["run", "rm"])
    with pytest.raises(Failure, match="does not answer"):
        DockerBackend().acquire(SMALL)
    for pid in docker.processes()[:1]:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"Uid": "0"}, "root"),
        ({"CapBnd": "400"}, "CapBnd"),
        ({"NoNewPrivs": "0"}, "may be gained"),
        ({"interfaces": ["lo", "eth0"]}, "eth0"),
        ({"root": "writable"}, "container_root"),
        ({"python": [3, 2]}, "it is 3.2"),
    ],
)
def test_a_container_that_is_not_what_was_asked_for(docker, facts, reason):
    docker.scenario(facts=facts)
    backend = DockerBackend()
    with pytest.raises(Failure, match=reason) as caught:
        backend.acquire(SMALL)
    assert caught.value.code == "sandbox_unavailable"
    assert not backend.probe().usable


def test_no_tier_is_to_be_had(docker):
    docker.scenario(refuse={"refused": "no Landlock", "hint": "", "mount": False})
    with pytest.raises(Failure, match="no Landlock; no Landlock") as caught:
        DockerBackend().acquire(SMALL)
    assert caught.value.code == "sandbox_unavailable"
    assert "a runtime that allows user namespaces" in caught.value.hint


def test_a_mount_that_the_runner_refuses(backend, tmp_path):
    with pytest.raises(Failure, match=r"mount .* reserved") as caught:
        backend.acquire(Profile(mounts=(Mount(source=str(tmp_path), target="/proc/x"),)))
    assert caught.value.code == "sandbox_mount"


def test_errors_of_docker_are_told(docker):
    docker.scenario(say={"run": "docker: Error response from daemon: No such image: x:1.\nSee 'docker run --help'."})
    with pytest.raises(Failure, match="the image x:1 is not here") as caught:
        DockerBackend("x:1").acquire(SMALL)
    assert (caught.value.code, caught.value.hint) == ("sandbox_unavailable", "docker pull x:1")


def test_an_engine_that_is_there_later_is_found(docker):
    docker.scenario(say={"ps": "Cannot connect to the Docker daemon at unix:///x"})
    backend = DockerBackend()
    assert not backend.probe().usable
    docker.scenario()
    assert backend.probe().usable


def test_what_is_measured_in_vain_is_not_used(docker, monkeypatch):
    monkeypatch.setattr(module, "verdicts", lambda *_: {"attempts": "BROKEN: allowed mount"})
    monkeypatch.setattr(module, "bare_verdicts", lambda *_: {"attempts": "BROKEN: allowed mount"})
    with pytest.raises(Failure, match="allowed mount"):
        DockerBackend().acquire(SMALL)
    monkeypatch.setattr(module, "_PROBE_PROFILE", Profile(wall_s=0.000001))
    with pytest.raises(Failure, match="ran longer"):
        DockerBackend().acquire(SMALL)


def test_an_image_that_is_an_option(docker):
    with pytest.raises(UsageError, match="no image's name"):
        DockerBackend("--privileged").acquire(SMALL)


def test_no_docker(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Failure, match="docker is not installed"):
        DockerBackend().acquire(SMALL)


def test_profiles_and_mounts_that_make_no_sense(backend, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for profile in (Profile(memory=0), Profile(mounts=(Mount(source="x"),)), Profile(mounts=(Mount(source="/run"),))):
        with pytest.raises(UsageError):
            backend.acquire(profile)
    with pytest.raises(UsageError, match="neither a file nor a directory"):
        backend.acquire(Profile(mounts=(Mount(source=str(tmp_path / "pipe")),)))
    with pytest.raises(Failure, match="No such file") as caught:
        backend.acquire(Profile(mounts=(Mount(source=str(tmp_path / "nope")),)))
    assert caught.value.code == "sandbox_mount"


async def test_requests_that_make_no_sense(sandbox):
    with pytest.raises(UsageError):
        await sandbox.execute(ExecRequest(argv=()))


ENGINE = """
import asyncio, sys
from clew.gate.ports.sandbox import ExecRequest, Profile
from clew.sandbox.docker.backend import DockerBackend
sandbox = DockerBackend().acquire(Profile())
print("ready", flush=True)
asyncio.run(sandbox.execute(ExecRequest(argv=("sh", "-c", "setsid sleep " + sys.argv[1] + " & wait"))))
"""


@pytest.mark.chaos
async def test_nothing_outlives_the_engine(docker):
    mark = f"44{os.getpid()}.0"
    with subprocess.Popen([sys.executable, "-c", ENGINE, mark], stdout=subprocess.PIPE) as engine:
        assert engine.stdout.readline() == b"ready\n"
        await until(lambda: running(f"sleep\0{mark}"))
        engine.kill()
    await until(lambda: not running(mark))
    await until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in docker.processes()))
