"""A stand-in for the sandbox, for code that the tests themselves wrote: a folder and a plain subprocess."""

import asyncio
import fnmatch
import os
import shutil
import signal
import sys
import tempfile
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from clew.agents.code.context import Context
from clew.agents.code.mutate import Family
from clew.agents.code.source import Source
from clew.core.errors import NotFound
from clew.gate.ports.sandbox import MIB, Capabilities, ExecRequest, ExecResult, Profile

ROOT = "/workspace"


class FolderSandbox:
    """Not confined in any way. ``/workspace`` in arguments and files stands for a temporary folder."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.folder = Path(tempfile.mkdtemp(prefix="clew-test-")).resolve()

    def _local(self, text: str) -> str:
        return text.replace(ROOT, str(self.folder))

    async def execute(self, request: ExecRequest) -> ExecResult:
        spec = self.folder / ".clew-run" / "spec.json"
        if spec.exists():
            spec.write_text(self._local(spec.read_text()))
        process = await asyncio.create_subprocess_exec(
            *(self._local(part) for part in request.argv),
            cwd=self._local(request.cwd),
            env={name: self._local(value) for name, value in request.env.items()},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        try:
            out, err = await asyncio.wait_for(process.communicate(), request.wall_s or self.profile.wall_s)
        except TimeoutError:
            os.killpg(process.pid, signal.SIGKILL)
            await process.communicate()
            return ExecResult(status="TIMEOUT", rc=None)
        return ExecResult(status="OK", rc=process.returncode, stdout=out, stderr=err)

    def put(self, path: str, data: bytes) -> None:
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)

    def put_tree(self, source: Path, target: str = ".", *, ignore: tuple[str, ...] = ()) -> None:
        def ignored(_folder: str, names: list[str]) -> set[str]:
            return {name for name in names if any(fnmatch.fnmatch(name, pattern) for pattern in ignore)}

        shutil.copytree(source, self.folder / target, ignore=ignored, dirs_exist_ok=True)

    def get(self, path: str, limit: int = 16 * MIB) -> bytes:
        target = self.folder / path
        if not target.is_file():
            raise NotFound(path)
        return target.read_bytes()[:limit]

    def close(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


class FolderBackend:
    def probe(self) -> Capabilities:
        return Capabilities(name="folder", usable=True)

    def acquire(self, profile: Profile) -> FolderSandbox:
        return FolderSandbox(profile)


@pytest.fixture
def backend() -> FolderBackend:
    return FolderBackend()


@pytest.fixture
def python() -> str:
    return sys.executable


@pytest.fixture
def variants() -> Callable[[Family, str], dict[str, float]]:
    """``variants(family, code)``: every file that the family makes of ``code``, with the best prior of each."""

    def make(family: Family, code: str) -> dict[str, float]:
        data = textwrap.dedent(code).encode()
        source = Source("module.py", data)
        found: dict[str, float] = {}
        for statement in source.statements:
            for m in family(statement, Context(source, source.function_of(statement))):
                text = (data[: m.start] + m.text.encode() + data[m.end :]).decode()
                found[text] = max(m.prior, found.get(text, 0.0))
        return found

    return make


@pytest.fixture
def repo(tmp_path: Path) -> Callable[[dict[str, str]], Path]:
    """``repo({name: text})``: a repository of these files."""

    def make(files: dict[str, str]) -> Path:
        top = tmp_path / "repository"
        for name, text in files.items():
            path = top / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text))
        return top

    return make
