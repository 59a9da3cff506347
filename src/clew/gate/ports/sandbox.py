"""The sandbox port: where hostile code runs. Drivers live in ``clew.sandbox``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from clew.manifest.compiled import ProfileName

ExecStatus = Literal["OK", "TIMEOUT", "CPU_LIMIT", "MEM_LIMIT", "KILLED", "DENIED", "INTERNAL_ERROR"]

MIB = 1024 * 1024


class Mount(msgspec.Struct, frozen=True):
    """A host path shown read-only inside the sandbox at ``target`` (absolute; default: the same path)."""

    source: str
    target: str = ""


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of one sandbox. Sizes in bytes, times in seconds. Nothing is reachable that is not named here."""

    wall_s: float = 30.0
    cpu_s: float = 20.0
    memory: int = 512 * MIB
    processes: int = 32
    open_files: int = 512
    file_size: int = 64 * MIB
    workspace: int = 256 * MIB
    output: int = 1 * MIB
    """Bytes kept of each of stdout and stderr; what is beyond is counted and dropped."""
    mounts: tuple[Mount, ...] = ()


PROFILES: dict[ProfileName, Profile] = {
    "small": Profile(
        wall_s=10.0, cpu_s=10.0, memory=128 * MIB, processes=16, open_files=128, file_size=16 * MIB, workspace=64 * MIB
    ),
    "standard": Profile(),
    "large": Profile(
        wall_s=300.0, cpu_s=1200.0, memory=2048 * MIB, processes=256, file_size=256 * MIB, workspace=1024 * MIB
    ),
}
"""Limits by name: for an expression or a filter, for a script on data, for a test suite or a build."""


class ExecRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One command. ``env`` is the whole environment; nothing is inherited from the engine."""

    argv: tuple[str, ...]
    cwd: str = "/workspace"
    env: dict[str, str] = {}
    stdin: bytes = b""
    wall_s: float | None = None
    """Shorter (never longer) than the profile's wall clock limit."""
    preloaded: bool = False
    """``argv`` is (an interpreter, a script, arguments…), and the backend may run it on a Python of its own that has
    already started: the same version as the engine's, ``PYTHONPATH`` but no site-packages."""


class ExecResult(msgspec.Struct, frozen=True, kw_only=True):
    """``OK`` means that the command ended by itself; its exit code is ``rc`` (None when it was killed)."""

    status: ExecStatus
    rc: int | None
    reason: str = ""
    stdout: bytes = b""
    stderr: bytes = b""
    stdout_dropped: int = 0
    stderr_dropped: int = 0
    duration_ms: int = 0
    cpu_ms: int = 0
    max_rss: int = 0
    cmd: tuple[str, ...] = ()
    enforced: dict[str, str] = {}
    """What holds each limit, e.g. ``{"memory": "rlimit", "network": "namespace+seccomp"}``: measured, not assumed."""


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What the surroundings can do on this machine, found by trying. ``usable`` False: ``reason`` says why."""

    name: str
    usable: bool
    reason: str = ""
    holds: dict[str, str] = {}


class Sandbox(Protocol):
    """One private workspace. A command sees ``/workspace`` (writable), the profile's mounts and a minimal root."""

    async def execute(self, request: ExecRequest) -> ExecResult:
        """Run one command to its end; the whole process tree is dead when this returns or is cancelled."""
        ...

    def put(self, path: str, data: bytes) -> None:
        """Write a file below /workspace. Raises UsageError when ``path`` leaves it."""
        ...

    def put_tree(self, source: Path, target: str = ".", *, ignore: tuple[str, ...] = ()) -> None:
        """Copy a host directory into the workspace; ``ignore`` are glob patterns of names.

        Symlinks that leave ``source`` are skipped."""
        ...

    def get(self, path: str, limit: int = 16 * MIB) -> bytes:
        """Read a file of the workspace (never following a symlink out of it). Raises NotFound."""
        ...

    def close(self) -> None:
        """Remove the workspace and whatever still runs in it."""
        ...


class SandboxBackend(Protocol):
    """One kind of surroundings."""

    def probe(self) -> Capabilities:
        """Try every layer once on this machine and report; the answer is cached by the backend."""
        ...

    def acquire(self, profile: Profile) -> Sandbox:
        """Open a sandbox. Raises Failure(code="sandbox_unavailable") when confinement cannot be had."""
        ...


Language = Literal["python", "javascript", "sql", "duckdb"]


class Languages(Protocol):
    """How code of a language is run; raises Failure(code="language_unavailable") for one that is not here."""

    def mounts(self, language: Language) -> tuple[Mount, ...]:
        """What the profile must show for it."""
        ...

    def request(
        self, sandbox: Sandbox, language: Language, code: str, files: Mapping[str, bytes] | None = None
    ) -> ExecRequest:
        """Put code and files into the workspace; what runs them there."""
        ...
