"""A real container: what the engine has made of what it was told, and that none is left behind."""

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from clew.core.errors import Failure, NotFound
from clew.gate.ports.sandbox import MIB, ExecRequest, Mount, Profile
from clew.sandbox import languages
from clew.sandbox.docker import backend as module
from clew.sandbox.docker.backend import DockerBackend
from clew.sandbox.docker.container import LABEL

pytestmark = [pytest.mark.sandbox, pytest.mark.slow]
SMALL = Profile(wall_s=10, cpu_s=5, memory=128 * MIB, workspace=16 * MIB, file_size=4 * MIB, output=4096)


def docker_says(*argv: str) -> str:
    return subprocess.run(["docker", *argv], capture_output=True, text=True, check=True).stdout.strip()


def ours() -> set[str]:
    return set(docker_says("ps", "--all", "--quiet", "--no-trunc", f"--filter=label={LABEL}").split())


async def until(condition) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


def has(sandbox, name: str) -> bool:
    try:
        sandbox.get(name)
    except NotFound:
        return False
    return True


async def sh(sandbox, script: str, **fields):
    return await sandbox.execute(ExecRequest(argv=("sh", "-c", script), **fields))


def test_every_layer_holds(docker):
    holds = docker.probe().holds
    assert not [verdict for name, verdict in holds.items() if name.startswith("container_") and "WEAKER" in verdict]
    assert holds["container_user"] != "0"


async def test_the_engine_has_done_what_it_was_told(docker, tmp_path):
    tmp_path.chmod(0o755)
    profile = Profile(mounts=(Mount(source=str(tmp_path), target="/opt/shown, with a comma"),))
    with docker.acquire(profile) as sandbox:
        found = json.loads(docker_says("inspect", sandbox._container.name))[0]
        result = await sh(sandbox, "ls -d '/opt/shown, with a comma'; touch '/opt/shown, with a comma/x'")
    host = found["HostConfig"]
    assert host["ReadonlyRootfs"]
    assert host["AutoRemove"]
    assert host["NetworkMode"] == "none"
    assert host["CapDrop"] == ["ALL"]
    assert host["CapAdd"] is None
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert not host["Privileged"]
    assert host["Memory"] == host["MemorySwap"] > 0
    assert host["PidsLimit"] > 0
    assert host["LogConfig"]["Type"] == "none"
    assert [(mount["Destination"], mount["RW"]) for mount in found["Mounts"]] == [("/opt/shown, with a comma", False)]
    assert result.stdout == b"/opt/shown, with a comma\n"
    assert result.rc != 0


async def test_workspace_and_tmp_are_where_they_belong(docker):
    with docker.acquire(SMALL) as sandbox:
        sandbox.put("main.py", b"open('/workspace/out', 'w').write(open('/workspace/in').read())\nopen('/tmp/t', 'w')")
        sandbox.put("in", b"here")
        result = await sandbox.execute(ExecRequest(argv=("python3", "/workspace/main.py"), preloaded=True))
        assert (result.rc, result.stderr) == (0, b"")
        assert sandbox.get("out") == b"here"
        result = await sh(sandbox, "pwd; echo $HOME; touch /x || touch /usr/x || touch /dev/shm/x")
        assert (result.stdout, result.rc) == (b"/workspace\n/workspace\n", 1)
        with pytest.raises(Failure, match="full"):
            sandbox.put("big", bytes(17 * MIB))


async def test_code_in_a_language(docker):
    with docker.acquire(Profile(mounts=languages.mounts("python"))) as sandbox:
        files = {"a.csv": b"x,y\n1,2\n"}
        result = await sandbox.execute(languages.request(sandbox, "sql", "select x + y as z from a", files))
        assert (result.status, result.rc) == ("OK", 0), result.stderr
        assert b'"z"' in result.stdout
        result = await sandbox.execute(languages.request(sandbox, "python", "import sys; print(sys.version_info[:2])"))
        assert result.stdout.decode() == f"{sys.version_info[:2]}\n"
    if languages.mounts("python"):
        with docker.acquire(Profile(mounts=languages.mounts("python"))) as sandbox:
            python = os.path.realpath(sys.executable)
            result = await sandbox.execute(ExecRequest(argv=(python, "-c", "import ssl, sys; print(sys.prefix)")))
            assert (result.stdout.decode().strip(), result.rc) == (sys.base_prefix, 0), result.stderr


async def test_closing_leaves_nothing(docker):
    before = ours()
    sandbox = docker.acquire(SMALL)
    task = asyncio.create_task(sh(sandbox, "touch up; sleep 600"))
    await until(lambda: has(sandbox, "up"))
    assert len(ours() - before) == 1
    await asyncio.to_thread(sandbox.close)
    assert (await task).status == "KILLED"
    await until(lambda: not ours() - before)


@pytest.mark.chaos
async def test_a_container_that_is_killed(docker):
    with docker.acquire(SMALL) as sandbox:
        task = asyncio.create_task(sh(sandbox, "touch up; sleep 600"))
        await until(lambda: has(sandbox, "up"))
        docker_says("kill", sandbox._container.name)
        result = await task
        assert (result.status, result.rc) == ("INTERNAL_ERROR", None)
        with pytest.raises(Failure, match="gone") as caught:
            sandbox.put("a", b"")
        assert caught.value.code == "sandbox_lost"


@pytest.mark.chaos
async def test_a_container_that_hangs_is_removed(docker, monkeypatch):
    monkeypatch.setattr(module, "_END_S", 0.5)
    before = ours()
    with docker.acquire(SMALL) as sandbox:
        docker_says("pause", sandbox._container.name)
        task = asyncio.create_task(sh(sandbox, "true"))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: not ours() - before)


ENGINE = """
import asyncio, sys
from clew.gate.ports.sandbox import ExecRequest, Profile
from clew.sandbox.docker.backend import DockerBackend
sandbox = DockerBackend(sys.argv[1]).acquire(Profile())
print("ready", flush=True)
asyncio.run(sandbox.execute(ExecRequest(argv=("sh", "-c", "sleep 600"))))
"""


@pytest.mark.chaos
@pytest.mark.parametrize("with_it", [False, True], ids=["engine", "engine and docker run"])
async def test_nothing_outlives_the_engine(image, with_it):
    before = ours()
    argv = [sys.executable, "-c", ENGINE, image]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as engine:
        assert engine.stdout.readline() == b"ready\n"
        children = Path(f"/proc/{engine.pid}/task/{engine.pid}/children").read_text().split()
        engine.kill()
        for child in children if with_it else ():
            os.kill(int(child), 9)
    await until(lambda: not ours() - before)


async def test_what_was_made_and_never_started_is_swept(docker, image):
    dead = subprocess.Popen(["true"])
    dead.wait()
    with docker.acquire(SMALL) as sandbox:
        machine = docker_says("inspect", "--format", f'{{{{index .Config.Labels "{LABEL}"}}}}', sandbox._container.name)
        owner = "/".join((*machine.split("/")[:2], str(dead.pid), "1"))
        left = docker_says("create", f"--label={LABEL}={owner}", image, "python3")
        assert left in ours()
        assert DockerBackend(image).probe().usable
        assert left not in ours()
        assert (await sh(sandbox, "echo still")).stdout == b"still\n"


async def test_another_runtime(image):
    names = json.loads(docker_says("info", "--format", "{{json .Runtimes}}"))
    other = next((name for name in names if not name.startswith(("io.containerd", "runc"))), None)
    if other is None:
        pytest.skip("the engine has no other runtime registered")
    backend = DockerBackend(image, other)
    with backend.acquire(SMALL) as sandbox:
        assert docker_says("inspect", "--format", "{{.HostConfig.Runtime}}", sandbox._container.name) == other
        assert (await sh(sandbox, "echo ran")).stdout == b"ran\n"


def test_what_the_engine_does_not_have(image):
    absent = "clew-test-no-such-image:1"
    for backend, reason in (
        (DockerBackend(absent), f"the image {absent} is not here"),
        (DockerBackend(image, "no-such-runtime"), "the engine has no runtime no-such-runtime"),
    ):
        with pytest.raises(Failure, match=reason) as caught:
            backend.acquire(SMALL)
        assert caught.value.code == "sandbox_unavailable"
