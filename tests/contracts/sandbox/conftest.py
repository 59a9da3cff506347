"""Everything here runs inside a sandbox or not at all: each attack first proves that it stands in other namespaces."""

import json
import sys
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


class Arena:
    """A sandbox with an interpreter, and the harness in its workspace."""

    def __init__(self, sandbox: NativeSandbox, mounted: str) -> None:
        self.sandbox = sandbox
        self._mounted = mounted
        host = {link.name: str(link.readlink()) for link in Path("/proc/self/ns").iterdir()}
        sandbox.put("host-namespaces.json", json.dumps(host).encode())
        sandbox.put("harness.py", (ATTACKS / "harness.py").read_bytes())

    async def attack(self, source: str, *, wall_s: float | None = None) -> ExecResult:
        self.sandbox.put("attack.py", source.encode())
        argv = (sys.executable, "-S", "-E", "-B", "/workspace/attack.py")
        return await self.sandbox.execute(ExecRequest(argv=argv, env={"MOUNTED": self._mounted}, wall_s=wall_s))


@pytest.fixture
def arena(backend: NativeBackend) -> Iterator[Arena]:
    mounts = interpreter_mounts(sys.executable)
    mounted = " ".join(sorted({mount.target.split("/")[1] for mount in mounts}))
    with backend.acquire(Profile(**LIMITS, mounts=mounts)) as sandbox:
        yield Arena(sandbox, mounted)
