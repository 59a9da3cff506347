"""A repository with changes laid over it: read, copied into a sandbox, and at the end, on request, written."""

import asyncio
import hashlib
import os
import secrets
import shutil
import tempfile
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from clew.agents.code import interpreter as interpreters
from clew.agents.code import workspace
from clew.agents.code.diff import unified
from clew.agents.code.interpreter import Interpreter
from clew.agents.code.roles.seat import Json, Payload, understood
from clew.core.errors import Failure, UsageError
from clew.gate.beneath import open_regular, parent_beneath, parts_beneath
from clew.gate.ports.sandbox import MIB, Mount, Profile, Sandbox, SandboxBackend

LARGEST = 2 * MIB
ROOT = workspace.ROOT


def placed(path: str) -> str:
    """A path below the repository, in its plain form.

    Raises Failure: ``outside_root`` for one that leads elsewhere, ``forbidden_path`` for one into what no agent writes (``.git``,
    environments, caches).
    """
    try:
        parts = parts_beneath(path)
    except UsageError as wrong:
        raise Failure(
            wrong.message, code="outside_root", hint="name it relative to the top of the repository"
        ) from None
    if not parts:
        raise Failure(f"{path!r} names no file", code="outside_root")
    for part in parts:
        if any(fnmatch(part, pattern) for pattern in workspace.IGNORED):
            raise Failure(f"{path}: {part} is nothing that an agent writes", code="forbidden_path")
    return "/".join(parts)


def text_of(payload: Payload, path: str) -> str | None:
    """The file as it is with the changes; None where there is none.

    Raises Failure: as ``placed``, ``binary_file``, ``too_large``, ``not_a_file`` for directories, links and devices.
    """
    path = placed(path)
    if path in payload.changes:
        return payload.changes[path]
    data = _bytes(workspace.repository(payload.repo), path)
    try:
        return None if data is None else data.decode("utf-8")
    except UnicodeDecodeError:
        raise Failure(f"{path}: not UTF-8 text", code="binary_file") from None


def _bytes(repo: Path, path: str) -> bytes | None:
    root = os.open(repo, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fd = open_regular(root, path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise Failure(f"{path}: not a file of the repository ({error.strerror})", code="not_a_file") from None
    finally:
        os.close(root)
    with open(fd, "rb") as file:  # noqa: PTH123 - a descriptor
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise Failure(f"{path}: more than {LARGEST} bytes", code="too_large")
    return data


def top(_backend: SandboxBackend, repo: str) -> str:
    """A job: the whole path of the repository. Raises Failure(no_repository)."""
    return str(workspace.repository(repo))


def read(_backend: SandboxBackend, payload: Json, paths: list[str]) -> dict[str, str | None]:
    """A job: the texts of some files, with the changes."""
    return {path: text_of(understood(Payload, payload), path) for path in paths}


def present(_backend: SandboxBackend, payload: Json, paths: list[str]) -> list[str]:
    """A job: those of the paths that are files, with the changes."""
    wanted = understood(Payload, payload)
    folder = workspace.repository(wanted.repo)
    return [path for path in paths if path in wanted.changes or _bytes(folder, path) is not None]


def python_files(payload: Payload) -> list[str]:
    """Paths of all Python files, with the changes."""
    found = {name for name, _ in workspace.python_files(workspace.repository(payload.repo))}
    return sorted(found | {path for path in payload.changes if path.endswith(".py")})


def diff(path: str, before: str | None, after: str) -> str:
    """Unified; ``/dev/null`` stands for a file that was not there."""
    text = unified(path, (before or "").encode(), after.encode())
    return text.replace(f"--- a/{path}\n", "--- /dev/null\n", 1) if before is None else text


def delta(path: str, before: str | None, after: str, summary: str) -> dict[str, Any]:
    """``{doc, diff, summary}`` of an envelope's result."""
    digest = hashlib.sha256(after.encode()).hexdigest()
    kind = "code" if path.endswith(".py") else "text"
    metadata = {"created": before is None, "bytes": len(after.encode()), "sha256": digest}
    doc = {"id": f"{path}@{digest[:12]}", "type": kind, "path": path, "content": after, "metadata": metadata}
    return {"doc": doc, "diff": diff(path, before, after), "summary": summary}


@asynccontextmanager
async def opened(
    backend: SandboxBackend, payload: Payload, profile: Profile, more: tuple[str, ...] = ()
) -> AsyncGenerator[tuple[Sandbox, Interpreter]]:
    """A sandbox with a copy of the repository, the changes over it, and its interpreter; ``more``: host folders shown beside."""
    repo = workspace.repository(payload.repo)
    interpreter = await interpreters.inspect(backend, repo, payload.python)
    mounts = tuple(Mount(folder) for folder in (*interpreter.mounts, *more))
    sandbox = await asyncio.to_thread(backend.acquire, replace(profile, mounts=mounts))
    try:
        await asyncio.to_thread(_fill, sandbox, repo, payload.changes)
        yield sandbox, interpreter
    finally:
        await asyncio.shield(asyncio.to_thread(sandbox.close))


def _fill(sandbox: Sandbox, repo: Path, changes: Mapping[str, str]) -> None:
    sandbox.put_tree(repo, ".", ignore=workspace.IGNORED)
    for path, text in changes.items():
        try:
            sandbox.put(placed(path), text.encode())
        except UsageError as wrong:
            raise Failure(wrong.message, code="outside_root") from None


def python_path(interpreter: Interpreter) -> str:
    """``PYTHONPATH`` inside: the import roots of the repository."""
    return ":".join(ROOT if entry == "." else f"{ROOT}/{entry}" for entry in interpreter.path)


@asynccontextmanager
async def copied(payload: Payload) -> AsyncGenerator[Payload]:
    """The repository with its changes in a folder of its own, for jobs that read a repository from disk.

    Its interpreter stays the original's; links are copied as links.
    """
    with tempfile.TemporaryDirectory(prefix="clew-copy-") as folder:
        yield await asyncio.to_thread(_copy, payload, folder)


def _copy(payload: Payload, folder: str) -> Payload:
    repo = workspace.repository(payload.repo)
    python = str(interpreters.choose(repo, payload.python))
    top = Path(folder).resolve() / repo.name
    shutil.copytree(repo, top, ignore=shutil.ignore_patterns(*workspace.IGNORED), symlinks=True)
    write(None, str(top), payload.changes, {path: _digest(_bytes(top, path)) for path in payload.changes})
    return Payload(repo=str(top), python=python, model=payload.model)


def state(_backend: SandboxBackend, repo: str) -> str:
    """A job: what the repository's Python files are now, for ``compare``."""
    return workspace.digest(workspace.repository(repo))


def compare(_backend: SandboxBackend, repo: str, changes: dict[str, str], known: str) -> dict[str, Any]:
    """A job: ``{diff, before}`` of changes that were made to the repository when its state was ``known``; ``before``: the
    files' digests. Raises Failure(repository_changed)."""
    top = workspace.repository(repo)
    if workspace.digest(top) != known:
        raise _changed(repo)
    base = Payload(repo=repo)
    told = "".join(diff(path, text_of(base, path), text) for path, text in sorted(changes.items()))
    return {"diff": told, "before": {path: _digest(_bytes(top, placed(path))) for path in changes}}


def _changed(what: str) -> Failure:
    message = f"{what} was changed while the work was going on"
    return Failure(message, code="repository_changed", hint="start a new run")


def _digest(data: bytes | None) -> str:
    return "" if data is None else hashlib.sha256(data).hexdigest()


def write(_backend: Any, repo: str, changes: dict[str, str], before: dict[str, str]) -> dict[str, Any]:
    """A job: put the changes into the user's own files, on request only. Done twice, it changes nothing more.

    ``before``: as ``compare`` gave it. Raises Failure(repository_changed), before anything is written, when a file is neither as
    it was then nor changed already.
    """
    top = workspace.repository(repo)
    wanted = {placed(path): text.encode() for path, text in changes.items()}
    pending: dict[str, bytes] = {}
    for path, data in wanted.items():
        now = _bytes(top, path)
        if now != data:
            if _digest(now) != before.get(path, ""):
                raise _changed(path)
            pending[path] = data
    root = os.open(top, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for path, data in pending.items():
            _replace(root, path, data)
    except OSError as error:
        raise Failure(f"{error.filename}: {error.strerror}", code="not_written") from None
    finally:
        os.close(root)
    return {"written": sorted(wanted)}


def _replace(root: int, path: str, data: bytes) -> None:
    """In one step, with the old file's permissions."""
    with parent_beneath(root, path, create=True) as (parent, name):
        mode = 0o666
        with suppress(FileNotFoundError):
            mode = os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode & 0o777
        fresh = f".{name[:200]}.{secrets.token_hex(8)}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(fresh, flags, mode, dir_fd=parent), "wb") as file:  # noqa: PTH123 - a descriptor
            file.write(data)
        os.rename(fresh, name, src_dir_fd=parent, dst_dir_fd=parent)
