"""Code in a language, turned into a request: what the sandbox must show for it, and how it is started there."""

import importlib.util
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from clew.core.errors import Failure
from clew.gate.interpreter import interpreter_mounts
from clew.gate.ports.sandbox import ExecRequest, Mount, Sandbox

Language = Literal["python", "javascript", "sql", "duckdb"]

_MAIN = {"python": "main.py", "javascript": "main.js", "sql": "main.sql", "duckdb": "main.sql"}
_SQL_PROGRAM = Path(__file__).with_name("programs") / "sql.py"
_SQL_INSIDE = ".clew-sql.py"
_ENV = {"PYTHONDONTWRITEBYTECODE": "1", "TZ": "UTC"}


def mounts(language: Language) -> tuple[Mount, ...]:
    """What a profile must mount so that ``language`` runs. Raises Failure(code="language_unavailable")."""
    if language == "javascript":
        node = _node()
        return () if node.startswith("/usr/") else (Mount(source=node),)
    if language == "duckdb":
        if importlib.util.find_spec("duckdb") is None:
            raise Failure(
                "duckdb is not installed", code="language_unavailable", hint="install clew with its extra duckdb"
            )
        return interpreter_mounts(sys.executable)
    return interpreter_mounts(os.path.realpath(sys.executable))


def request(
    sandbox: Sandbox,
    language: Language,
    code: str,
    files: Mapping[str, bytes] | None = None,
    packages: tuple[str, ...] = (),
) -> ExecRequest:
    """Put ``code`` and ``files`` (paths below /workspace) into the workspace; returns what runs them.

    ``python`` has the standard library, and what lies in ``packages`` (mounted directories, e.g. a site-packages with
    pandas). ``sql`` is SQLite's and ``duckdb`` DuckDB's, each with a table for every CSV file in ``files``; the output
    is that of ``programs.sql``. Raises Failure(code="language_unavailable"), UsageError and Failure of ``put``.
    """
    for path, data in (files or {}).items():
        sandbox.put(path, data)
    main = f"/workspace/{_MAIN[language]}"
    sandbox.put(main, code.encode())
    if language == "javascript":
        return ExecRequest(argv=(_node(), main), env={"TZ": "UTC"})
    if language == "python":
        env = {**_ENV, "PYTHONPATH": ":".join(packages)} if packages else _ENV
        return ExecRequest(argv=(os.path.realpath(sys.executable), main), env=env, preloaded=True)
    sandbox.put(_SQL_INSIDE, _SQL_PROGRAM.read_bytes())
    python = sys.executable if language == "duckdb" else os.path.realpath(sys.executable)
    engine = "duckdb" if language == "duckdb" else "sqlite"
    tables = tuple(path for path in files or {} if path.lower().endswith(".csv"))
    argv = (python, f"/workspace/{_SQL_INSIDE}", engine, main, *tables)
    return ExecRequest(argv=argv, env=_ENV, preloaded=language == "sql")


def _node() -> str:
    found = shutil.which("node", path="/usr/local/bin:/usr/bin:/bin:" + os.environ.get("PATH", ""))
    if found is None:
        raise Failure("node is not installed", code="language_unavailable", hint="install Node.js")
    return os.path.realpath(found)
