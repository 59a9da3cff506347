"""Everything here runs inside a sandbox or not at all: each attack first proves that it stands in other namespaces."""

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from clew.gate.interpreter import interpreter_mounts
from clew.gate.ports.sandbox import MIB, ExecRequest, ExecResult, Profile
from clew.sandbox.native import NativeBackend, NativeSandbox

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


@pytest.fixture(scope="session")
def backend() -> NativeBackend:
    backend = NativeBackend()
    capabilities = backend.probe()
    if not capabilities.usable:
        pytest.skip(f"no confinement on this machine: {capabilities.reason}")
    return backend


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
    """A sandbox with an interpreter, and the harness in its workspace."""

    def __init__(self, sandbox: NativeSandbox, env: dict[str, str]) -> None:
        self.sandbox = sandbox
        self._env = env
        host = {link.name: str(link.readlink()) for link in Path("/proc/self/ns").iterdir()}
        sandbox.put("host-namespaces.json", json.dumps(host).encode())
        sandbox.put("harness.py", (ATTACKS / "harness.py").read_bytes())

    async def attack(self, source: str, *, wall_s: float | None = None, preloaded: bool = False) -> ExecResult:
        """On an interpreter started for it, or (``preloaded``) on the runner's own."""
        self.sandbox.put("attack.py", source.encode())
        options = () if preloaded else ("-S", "-E", "-B")
        argv = (sys.executable, *options, "/workspace/attack.py")
        return await self.sandbox.execute(ExecRequest(argv=argv, env=self._env, wall_s=wall_s, preloaded=preloaded))


@pytest.fixture(scope="session")
def targets() -> Iterator[Targets]:
    targets = Targets()
    yield targets
    targets.close()


@pytest.fixture
def arena(backend: NativeBackend, targets: Targets) -> Iterator[Arena]:
    mounts = interpreter_mounts(sys.executable)
    mounted = " ".join(sorted({mount.target.split("/")[1] for mount in mounts}))
    with backend.acquire(Profile(**LIMITS, mounts=mounts)) as sandbox:
        yield Arena(sandbox, {**targets.env, "MOUNTED": mounted})
