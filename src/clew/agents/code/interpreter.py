"""The repository's own Python: which one, what must be shown in the sandbox for it to run, and what it can import.

Nothing of the repository is executed outside the sandbox: links and ``pyvenv.cfg`` are read, and the interpreter is
asked for its paths inside.
"""

import json
import os
import sys
from pathlib import Path

import msgspec

from clew.core.errors import Failure
from clew.gate.interpreter import link_chain, site_references
from clew.gate.ports.sandbox import ExecRequest, Mount, Profile, SandboxBackend

_ASK = (
    "import json, sys; print(json.dumps({'prefix': sys.prefix, 'base': sys.base_prefix, 'path': sys.path,"
    " 'version': list(sys.version_info[:3])}))"
)
_NEVER_MOUNTED = ("/", "/etc", "/home", "/root", "/proc", "/sys", "/dev", "/run", "/var", "/boot", "/tmp")  # noqa: S108
_OLDEST = (3, 8)


class Interpreter(msgspec.Struct, frozen=True):
    """``mounts``: host folders shown read-only; ``path``: import roots inside the workspace, relative to it."""

    executable: str
    version: str
    mounts: tuple[str, ...]
    path: tuple[str, ...]


def choose(repo: Path, python: str | None) -> Path:
    """``python`` when given, else the repository's ``.venv``, else the interpreter that runs this."""
    if python:
        chosen = Path(python).expanduser()
        chosen = chosen if chosen.is_absolute() else Path.cwd() / chosen
        if not os.access(chosen, os.X_OK) or chosen.is_dir():
            hint = "name a Python interpreter"
            raise Failure(f"python: {python}: not an executable file", code="interpreter", hint=hint)
        return _without_detours(chosen)
    for folder in (".venv", "venv"):
        own = repo / folder / "bin" / "python"
        if os.access(own, os.X_OK):
            return own
    return _without_detours(Path(sys.executable))


def _without_detours(executable: Path) -> Path:
    """The same path without ``..``, where that leads to the same file: what is mounted is named so."""
    plain = Path(os.path.normpath(executable))
    return plain if plain.exists() and plain.samefile(executable) else executable


def _prefixes(executable: Path) -> list[str]:
    """Installation folders that an interpreter needs, judged from where it lies: the parents of ``bin``."""
    found: dict[str, None] = {}
    for hop in (*link_chain(Path(os.path.normpath(Path.cwd() / executable))), executable.resolve()):
        if hop.parent.name == "bin" and mountable(str(hop.parent.parent)):
            found.setdefault(str(hop.parent.parent))
    return list(found)


def mountable(folder: str) -> bool:
    """False for places that hold more than an installation: the root, system folders, a home directory."""
    path = Path(folder).resolve()
    home = path.parent == Path("/home") or path == Path.home()
    return str(path) not in _NEVER_MOUNTED and not home and path.is_dir()


async def inspect(backend: SandboxBackend, repo: Path, python: str | None) -> Interpreter:
    """Ask the interpreter, inside a sandbox, for its prefix and import path.

    Raises Failure(code="interpreter") when ``python`` is no executable, does not run or is too old.
    """
    executable = choose(repo, python)
    prefixes = _prefixes(executable)
    sandbox = backend.acquire(Profile(mounts=tuple(Mount(prefix) for prefix in prefixes)))
    try:
        result = await sandbox.execute(ExecRequest(argv=(str(executable), "-I", "-c", _ASK), env={"LC_ALL": "C.UTF-8"}))
    finally:
        sandbox.close()
    try:
        answer = json.loads(result.stdout.decode("utf-8", "replace").strip().splitlines()[-1])
        version = tuple(int(part) for part in answer["version"])
        paths = [str(entry) for entry in answer["path"]]
        paths += [linked for entry in paths for linked in _linked(Path(entry))]
        prefixes = [*prefixes, str(answer["prefix"]), str(answer["base"])]
    except (ValueError, KeyError, IndexError, TypeError):
        words = result.stderr.decode("utf-8", "replace").strip()[-500:] or result.reason or result.status
        raise Failure(
            f"the interpreter {executable} does not run in the sandbox: {words}",
            code="interpreter",
            hint="name another one with python=…",
        ) from None
    if version < _OLDEST:
        raise Failure(f"{executable} is Python {version[0]}.{version[1]}; 3.8 or later is needed", code="interpreter")
    return Interpreter(
        executable=str(executable),
        version=".".join(str(part) for part in version),
        mounts=_mounts(prefixes, paths, repo),
        path=_import_roots(paths, repo),
    )


def _mounts(prefixes: list[str], paths: list[str], repo: Path) -> tuple[str, ...]:
    """Folders to show, without those that lie inside another, and none that is the repository's own code."""
    wanted: dict[str, None] = {}
    for entry in [*prefixes, *paths]:
        outside = not Path(entry).is_relative_to(repo) or entry in prefixes
        if Path(entry).is_absolute() and outside and mountable(entry) and not repo.is_relative_to(entry):
            wanted.setdefault(os.path.normpath(entry))
    return tuple(m for m in wanted if not any(m != o and Path(m).is_relative_to(o) for o in wanted))


def _import_roots(paths: list[str], repo: Path) -> tuple[str, ...]:
    """Import roots in the repository: those of an editable installation, ``src`` and ``lib`` lay-outs, its top."""
    found: dict[str, None] = {}
    for entry in paths:
        path = Path(entry)
        if path.is_absolute() and path.is_relative_to(repo) and "site-packages" not in path.parts:
            found.setdefault(path.relative_to(repo).as_posix())
    for folder in ("src", "lib"):
        inside = repo / folder
        if inside.is_dir() and not (inside / "__init__.py").exists():
            found.setdefault(folder)
    found.setdefault(".")
    return tuple(found)


def _linked(folder: Path) -> list[str]:
    """Folders that an installation refers to; one that does not exist in the sandbox is left out by the interpreter."""
    return site_references(folder) if folder.name in {"site-packages", "dist-packages"} else []
