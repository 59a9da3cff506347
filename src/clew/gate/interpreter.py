"""What a sandbox must show of the host so that a Python interpreter runs in it.

The interpreter is never run to find this out: it may lie in a repository nobody has looked at, and starting it (or
the ``.pth`` files of its site-packages) would be code execution outside any sandbox. Links, ``pyvenv.cfg``
(PEP 405) and ``.pth`` files are read as data.
"""

import ast
import os
import re
from collections.abc import Iterator
from pathlib import Path

from clew.core.errors import UsageError
from clew.gate.ports.sandbox import Mount

_SYSTEM = (Path("/usr"), Path("/bin"), Path("/lib"), Path("/lib64"))
_MAX_LINKS = 40
_MAX_TEXT = 1024 * 1024
_EDITABLE = re.compile(r"^MAPPING(?:\s*:[^=]+)?\s*=\s*(\{.*\})\s*$", re.MULTILINE)


def interpreter_mounts(python: str) -> tuple[Mount, ...]:
    """Read-only mounts for ``python`` (an absolute path), its prefix, base prefix and what its site-packages point to.

    What lies below /usr is left out: every sandbox has it. Raises UsageError when ``python`` is no interpreter, or
    when its installation cannot be told from its surroundings (a pyenv shim, a binary copied to ``~/bin``).
    Packages installed as editable from elsewhere than beside the environment need a Mount of their own.
    """
    if not python.startswith("/") or "\0" in python:
        raise UsageError(f"{python!r} is not an absolute path", hint="name the interpreter as /path/to/bin/python")
    targets: dict[str, str] = {}
    prefixes: list[Path] = []
    for binary in link_chain(Path(os.path.normpath(python))):
        prefixes.append(_show_prefix(binary.parent.parent, targets))
    real = Path(python).resolve()
    _check_binary(real, python)
    real_prefix = _show_prefix(real.parent.parent, targets)
    for prefix in (*prefixes, real_prefix):
        _show_home(prefix, targets)
    for prefix in dict.fromkeys((*prefixes, real_prefix)):
        for extra in _site_references(prefix):
            targets.setdefault(os.path.normpath(extra), str(extra.resolve()))
    if not _is_system(real) and not any(_has_library(Path(source)) for source in targets.values()):
        raise UsageError(
            f"{python}: no lib/python3.* beside the interpreter, so its standard library cannot be found",
            hint="name the interpreter of an installation or of a virtual environment",
        )
    return tuple(Mount(source=source, target=target) for target, source in _outermost(targets))


def link_chain(path: Path) -> Iterator[Path]:
    """``path`` and every link it goes over, as written; the last is no link. Raises UsageError for a circle."""
    for _ in range(_MAX_LINKS):
        yield path
        try:
            link = path.readlink()
        except OSError:
            return
        path = Path(os.path.normpath(path.parent.resolve() / link))
    raise UsageError(f"{path}: too many levels of links", hint="name the interpreter itself")


def _check_binary(real: Path, asked: str) -> None:
    try:
        with real.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise UsageError(f"{asked}: {error.strerror}", hint="name a Python interpreter that exists") from None
    if magic[:2] == b"#!":
        raise UsageError(
            f"{asked} is a script, not an interpreter", hint="for a pyenv shim, name what `pyenv which python` prints"
        )
    if magic != b"\x7fELF":
        raise UsageError(f"{asked} is not an executable of this system", hint="name a Python interpreter")


def _show_prefix(prefix: Path, targets: dict[str, str]) -> Path:
    """Note ``prefix`` as written and as it really is; returns it as written."""
    if _is_system(prefix.resolve()) or not (_has_library(prefix) or (prefix / "pyvenv.cfg").is_file()):
        return prefix
    real = str(prefix.resolve())
    targets[str(prefix)] = real
    targets[real] = real
    return prefix


def _show_home(prefix: Path, targets: dict[str, str]) -> None:
    """Follow ``home`` of pyvenv.cfg; an environment made from another one names the first installation at once."""
    for line in _text(prefix / "pyvenv.cfg").splitlines():
        key, _, value = line.partition("=")
        if key.strip().lower() == "home" and value.strip().startswith("/"):
            home = Path(os.path.normpath(value.strip()))
            _show_prefix(home.parent, targets)
            for name in ("python3", "python"):
                for binary in link_chain(home / name):
                    _show_prefix(binary.parent.parent, targets)


def _has_library(prefix: Path) -> bool:
    # os.py tells a standard library; a mere lib/python3.* is also found in ~/.local, with secrets beside it.
    return any(next(prefix.glob(pattern), None) for pattern in ("lib/python3.*/os.py", "lib64/python3.*/os.py"))


def site_references(site: Path) -> list[str]:
    """Absolute paths that a site-packages directory names, in its ``.pth`` lines and setuptools' editable finders."""
    named = [line.strip() for pth in sorted(site.glob("*.pth")) for line in _text(pth).splitlines()]
    for finder in sorted(site.glob("__editable__*finder.py")):
        named += [os.path.dirname(path) for path in _editable_mapping(_text(finder))]  # noqa: PTH120 - may be no path
    return [name for name in named if name.startswith("/") and "\0" not in name]


def _site_references(prefix: Path) -> Iterator[Path]:
    """Directories beside ``prefix`` that its site-packages name.

    Only below the directory that holds ``prefix``: a hostile environment must not name somebody's home.
    """
    around = prefix.resolve().parent
    for site in (*prefix.glob("lib/python3.*/site-packages"), *prefix.glob("lib64/python3.*/site-packages")):
        for name in site_references(site):
            path = Path(os.path.normpath(name))
            if around in path.resolve().parents and path.is_dir() and not _is_system(path):
                yield path


def _editable_mapping(source: str) -> list[str]:
    found = _EDITABLE.search(source)
    if found is None:
        return []
    try:
        mapping: object = ast.literal_eval(found.group(1))
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return []
    return [str(value) for value in mapping.values()] if isinstance(mapping, dict) else []  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]


def _text(path: Path) -> str:
    try:
        if not path.is_file() or path.stat().st_size > _MAX_TEXT:
            return ""
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""


def _is_system(path: Path) -> bool:
    return any(path == system or system in path.parents for system in _SYSTEM)


def _outermost(targets: dict[str, str]) -> list[tuple[str, str]]:
    """Leave out a target that a mount further up already shows with the same content."""
    kept: list[tuple[str, str]] = []
    for target in sorted(targets, key=lambda path: (path.count("/"), path)):
        source = targets[target]
        covered = any(
            target.startswith(outer + "/") and source == outer_source + target[len(outer) :]
            for outer, outer_source in kept
        )
        if not covered:
            kept.append((target, source))
    return kept
