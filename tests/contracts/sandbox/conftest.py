"""Everything here runs inside a sandbox or not at all: each attack first proves that it stands in other namespaces."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from clew.gate.interpreter import interpreter_mounts
from clew.gate.ports.sandbox import MIB, ExecRequest, ExecResult, Profile
from clew.sandbox.docker.backend import DockerBackend
from clew.sandbox.native import NativeBackend

ATTACKS = Path(__file__).parent / "attacks"
LIMITS = {
    "wall_s": 20.0,
    "cpu_s": 2.0,
    "memory": 256 * MIB,
    "processes": 32,
    "file_size": 16 * MIB,
    "workspace": 32 * MIB,
    "output": 64 * 1024,
}


IMAGE = f"clew-test-python:{sys.version_info[0]}.{sys.version_info[1]}"
PROGRAMS = ("sh", "cat", "sleep", "env", "ls", "rm", "touch", "cp", "id", "grep", "true", "mkdir", "setsid")
LEFT_OUT = {
    "test",
    "tests",
    "__pycache__",
    "site-packages",
    "dist-packages",
    "idlelib",
    "ensurepip",
    "lib2to3",
    "tkinter",
}


@pytest.fixture(scope="session")
def native() -> NativeBackend:
    backend = NativeBackend()
    capabilities = backend.probe()
    if not capabilities.usable:
        pytest.skip(f"no confinement on this machine: {capabilities.reason}")
    return backend


@pytest.fixture(scope="session")
def image() -> Iterator[str]:
    """This interpreter, a shell and what both need, as an image: no registry is asked for one."""
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "info"], capture_output=True).returncode != 0:
        pytest.skip("no Docker engine runs here")
    with tempfile.TemporaryFile() as file:
        write_image(file)
        file.seek(0)
        subprocess.run([docker, "import", "-", IMAGE], stdin=file, check=True, capture_output=True)
    yield IMAGE
    subprocess.run([docker, "rmi", IMAGE], check=True, capture_output=True)


@pytest.fixture(scope="session")
def docker(image: str) -> DockerBackend:
    backend = DockerBackend(image)
    capabilities = backend.probe()
    if "Landlock ABI" in capabilities.reason:
        pytest.skip(f"no confinement on this machine: {capabilities.reason}")
    assert capabilities.usable, capabilities.reason
    return backend


@pytest.fixture(params=["native", pytest.param("docker", marks=pytest.mark.slow)])
def backend(request):
    return request.getfixturevalue(request.param)


def write_image(file) -> None:
    found = {f"usr/bin/{name}": shutil.which(name, path="/usr/bin:/bin") for name in PROGRAMS}
    found["etc/passwd"] = "/etc/passwd"
    found["usr/local/bin/python3"] = os.path.realpath(sys.executable)
    library = Path(sysconfig.get_path("stdlib"))
    for path in library.rglob("*"):
        inside = path.relative_to(library)
        if path.is_file() and not LEFT_OUT & set(inside.parts) and not inside.parts[0].startswith("config-"):
            found[f"usr/local/lib/{library.name}/{inside}"] = str(path)
    programs = [path for name, path in found.items() if "bin/" in name or name.endswith(".so")]
    listed = subprocess.run(["ldd", *programs], capture_output=True, text=True, check=True).stdout
    libraries = {Path(path) for path in re.findall(r"(/\S+) \(0x", listed)}
    folder = next(path.parent for path in libraries if path.name.startswith("libc.so"))
    for path in libraries:
        inside = path if path.name.startswith("ld-linux") else folder / path.name
        found[str(inside).lstrip("/")] = str(path)
    with tarfile.open(fileobj=file, mode="w|") as tar:
        for name, path in found.items():
            tar.add(os.path.realpath(path), name, recursive=False)


class Targets:
    """What an attack shall not reach, and really is there: a process, a port, sockets with and without a path."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(["sleep", "600"], env={"HOST_SECRET": "hush"})
        self._folder = tempfile.TemporaryDirectory()
        path = f"{self._folder.name}/socket"
        Path(self._folder.name).chmod(0o755)
        self._listeners = [socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX), socket.socket()]
        names = (path, f"\0clew-attack-target-{os.getpid()}", ("127.0.0.1", 0))
        for listener, name in zip(self._listeners, names, strict=True):
            listener.bind(name)
            listener.listen()
        Path(path).chmod(0o777)
        port = self._listeners[2].getsockname()[1]
        self.env = {"HOST_PID": str(self._process.pid), "HOST_SOCKET": path, "HOST_PORT": str(port)}
        self.env["HOST_ABSTRACT"] = names[1][1:]

    def alive(self) -> bool:
        return self._process.poll() is None

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        for listener in self._listeners:
            listener.close()
        self._folder.cleanup()


class Arena:
    """A sandbox with an interpreter, and the harness in its workspace.

    ``limits_kill``: where the runner has no namespaces, a watchdog ends some attacks that would else fail."""

    def __init__(
        self, sandbox, env: dict[str, str], *, python: str = sys.executable, limits_kill: bool = False
    ) -> None:
        self.sandbox = sandbox
        self.limits_kill = limits_kill
        self._env = env
        self.python = python
        host = {link.name: str(link.readlink()) for link in Path("/proc/self/ns").iterdir()}
        sandbox.put("host-namespaces.json", json.dumps(host).encode())
        sandbox.put("harness.py", (ATTACKS / "harness.py").read_bytes())

    async def attack(self, source: str, *, wall_s: float | None = None, preloaded: bool = False) -> ExecResult:
        """On an interpreter started for it, or (``preloaded``) on the runner's own."""
        self.sandbox.put("attack.py", source.encode())
        options = () if preloaded else ("-S", "-E", "-B")
        argv = (self.python, *options, "/workspace/attack.py")
        return await self.sandbox.execute(ExecRequest(argv=argv, env=self._env, wall_s=wall_s, preloaded=preloaded))


@pytest.fixture(scope="session")
def targets() -> Iterator[Targets]:
    targets = Targets()
    yield targets
    targets.close()


@pytest.fixture
def arena(backend, targets: Targets) -> Iterator[Arena]:
    if isinstance(backend, DockerBackend):
        env = {**targets.env, "MOUNTED": "", "TIER": "landlock"}
        with backend.acquire(Profile(**LIMITS)) as sandbox:
            yield Arena(sandbox, env, python="/usr/local/bin/python3", limits_kill=True)
        return
    mounts = interpreter_mounts(sys.executable)
    mounted = " ".join(sorted({mount.target.split("/")[1] for mount in mounts}))
    with backend.acquire(Profile(**LIMITS, mounts=mounts)) as sandbox:
        yield Arena(sandbox, {**targets.env, "MOUNTED": mounted})
