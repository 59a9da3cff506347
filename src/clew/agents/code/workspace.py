"""A repository in a sandbox: what is copied, how the runner is called, and how its answer is read."""

import hashlib
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from clew.agents.code.interpreter import Interpreter
from clew.agents.code.runner.scope import editable
from clew.core.errors import Failure, UsageError
from clew.gate.ports.sandbox import MIB, ExecRequest, Mount, Profile, SandboxBackend

IGNORED = (
    *(".git", ".hg", ".svn", ".venv", "venv", ".tox", ".nox", "node_modules", "__pycache__", "*.pyc"),
    *(".mypy_cache", ".pytest_cache", ".ruff_cache", ".hypothesis", ".clew", ".idea", ".vscode"),
)
ROOT = "/workspace"
RUNNER = Path(__file__).parent / "runner"
_OWN = ".clew-run"
_LARGEST = 2 * MIB


class Task(msgspec.Struct, frozen=True):
    """What the runner is to do, and the seconds of wall clock that it may take."""

    name: str
    spec: dict[str, Any]
    wall: float
    memory: int = 2048 * MIB


def repository(path: str) -> Path:
    """The folder that ``path`` names. Raises Failure(code="no_repository") when there is none."""
    repo = Path(path).expanduser().resolve()
    if not repo.is_dir():
        hint = "name the top folder of a Python repository"
        what = "not a folder" if repo.exists() else "no such folder"
        raise Failure(f"{path}: {what}", code="no_repository", hint=hint)
    return repo


def holds(repo: Path, name: str) -> bool:
    """Whether ``name`` is a file of the repository: no link, and nowhere else."""
    path = repo / name
    return not path.is_symlink() and path.is_file() and path.resolve().is_relative_to(repo)


def inside(repo: Path, name: str) -> Path:
    """The file ``name`` of the repository. Raises UsageError when it leaves it, or is a link or no file."""
    path = repo / name
    if not holds(repo, name):
        raise UsageError(f"{name}: not a file of {repo}")
    return path


def replace(path: Path, data: bytes) -> None:
    """Write a file in one step, with the old one's permissions: never half of it."""
    fresh = path.with_name(f".{path.name}.clew-new")
    fresh.write_bytes(data)
    fresh.chmod(stat.S_IMODE(path.stat().st_mode))
    fresh.replace(path)


def python_files(repo: Path) -> Iterator[tuple[str, Path]]:
    """(relative posix path, path) of the repository's Python files, sorted; ignored folders and links are left out."""
    for folder, folders, files in os.walk(repo):
        folders[:] = sorted(f for f in folders if f not in IGNORED and not (Path(folder) / f).is_symlink())
        for name in sorted(files):
            path = Path(folder) / name
            if name.endswith(".py") and path.is_file() and not path.is_symlink() and path.stat().st_size <= _LARGEST:
                yield path.relative_to(repo).as_posix(), path


def digest(repo: Path) -> str:
    """SHA-256 over names and contents of all Python files."""
    total = hashlib.sha256()
    for name, path in python_files(repo):
        total.update(f"{name}\0".encode("utf-8", "surrogateescape"))
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def sources(repo: Path, names: frozenset[str], test_files: frozenset[str]) -> dict[str, bytes]:
    """Contents of those of the named files that may be repaired."""
    return {
        name: path.read_bytes() for name, path in python_files(repo) if name in names and editable(name, test_files)
    }


async def run(
    backend: SandboxBackend, repo: Path, interpreter: Interpreter, task: Task, changed: dict[str, bytes] | None = None
) -> dict[str, Any]:
    """Copy the repository into a fresh sandbox, put ``changed`` files over it, and perform one task there.

    Raises Failure: ``sandbox_unavailable`` from the backend, ``no_pytest``, or ``runner`` with the end of its output.
    """
    mounts = tuple(Mount(folder) for folder in (*interpreter.mounts, str(RUNNER)))
    profile = Profile(
        wall_s=task.wall + 30,
        cpu_s=(task.wall + 30) * (os.cpu_count() or 1),
        memory=task.memory,
        processes=256,
        open_files=1024,
        workspace=1024 * MIB,
        mounts=mounts,
    )
    sandbox = backend.acquire(profile)
    try:
        sandbox.put_tree(repo, ".", ignore=IGNORED)
        for name, data in (changed or {}).items():
            sandbox.put(name, data)
        path = [ROOT if entry == "." else f"{ROOT}/{entry}" for entry in interpreter.path]
        spec = {"task": task.name, "root": ROOT, "path": path, "output": f"{ROOT}/{_OWN}/output.txt", **task.spec}
        spec["dump"] = f"{ROOT}/{_OWN}/dump.txt"
        sandbox.put(f"{_OWN}/spec.json", json.dumps(spec).encode())
        files = (f"{ROOT}/{_OWN}/spec.json", f"{ROOT}/{_OWN}/result.json")
        argv = (interpreter.executable, "-s", "-B", str(RUNNER / "start.py"), *files)
        done = await sandbox.execute(ExecRequest(argv=argv, cwd=ROOT, env=environment()))
        try:
            answer = msgspec.json.decode(sandbox.get(f"{_OWN}/result.json"), type=dict[str, Any])
        except (UsageError, msgspec.DecodeError):
            words = (done.stderr or done.stdout).decode("utf-8", "replace").strip()[-800:]
            told = words or done.reason or f"exit code {done.rc}"
            raise Failure(f"the test runner gave no answer ({done.status}): {told}", code="runner") from None
    finally:
        sandbox.close()
    if answer.get("error") == "no_pytest":
        message = str(answer.get("message"))
        raise Failure(message, code="no_pytest", hint="install pytest there, or name another interpreter with python=…")
    return answer


def environment() -> dict[str, str]:
    """The whole environment of the suite: nothing of the engine's, and nothing that varies."""
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": "/tmp",  # noqa: S108  the sandbox's own
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "CI": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
