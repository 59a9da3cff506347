"""``run_tests``: a repository's pytest suite in a sandbox, on a copy of the repository."""

import asyncio
import hashlib
import os
import sys
from pathlib import Path
from typing import Any

import msgspec

from clew.core.errors import Failure, NotFound
from clew.gate.beneath import open_regular, walk_beneath
from clew.gate.interpreter import interpreter_mounts
from clew.gate.ports.sandbox import MIB, PROFILES, ExecRequest, ExecResult, Profile, Sandbox
from clew.gate.ports.tool import Permissions, ToolContext, ToolSpec
from clew.manifest.compiled import ProfileName, ToolPlan
from clew.tools import junit
from clew.tools.builtin.declared import config_of
from clew.tools.builtin.list_files import SKIPPED
from clew.tools.executed import RECORD, record
from clew.tools.opened import opened
from clew.tools.validate import confine, file_errors

_REPORT = ".clew-report.xml"
_REPORT_LIMIT = 64 * MIB
_COPY = "/workspace/repository"
_MOST_TIME_S = 3600.0
_TAIL = 4000
_LISTED = 500
_COUNTED = ("passed", "failed", "errors", "skipped")
_NO_TESTS = 5
_USAGE = 4
_CHUNK = 1 << 20


class _Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    profile: ProfileName | None = None


def _spec(default_s: float, most_s: float) -> ToolSpec:
    return ToolSpec(
        id="run_tests",
        description=(
            "Run the pytest suite of the repository at `path` and return each test's outcome. It runs on a copy, in a "
            "sandbox without network: nothing in the repository is changed, and tests that need a network fail. "
            "`tests` narrows it to files or ids (tests/test_a.py::test_b). `python` is the interpreter to use, by "
            "default the repository's .venv. Not all passed is a result, not an error: look at `failed`, `errors` and "
            "`tests`. `status` is OK when pytest ended by itself, else TIMEOUT, CPU_LIMIT, MEM_LIMIT or KILLED; "
            "`output` is the end of what pytest printed, `output_dropped` counts the bytes before it. "
            "Fails with no_pytest, no_report or sandbox_unavailable."
        ),
        inputs={
            "type": "object",
            "properties": {
                "path": {"type": "string", "default": ".", "description": "Repository, relative to the root"},
                "python": {"type": "string", "pattern": "^/", "description": "Absolute path of an interpreter"},
                "tests": {
                    "type": "array",
                    "items": {"type": "string", "minLength": 1, "maxLength": 1000, "pattern": "^[^-]"},
                    "maxItems": 500,
                },
                "timeout": {"type": "number", "exclusiveMinimum": 0, "maximum": most_s, "default": default_s},
            },
            "additionalProperties": False,
        },
        outputs={
            "type": "object",
            "properties": {
                "passed": {"type": "integer"},
                "failed": {"type": "integer"},
                "errors": {"type": "integer"},
                "skipped": {"type": "integer"},
                "tests": {
                    "type": "array",
                    "description": "Failures and errors first; at most 500",
                    "items": {
                        "type": "object",
                        "properties": {
                            "id": {"type": "string"},
                            "outcome": {"enum": ["passed", "failed", "error", "skipped"]},
                            "message": {"type": "string"},
                            "detail": {"type": "string"},
                        },
                        "required": ["id", "outcome", "message"],
                    },
                },
                "truncated": {"type": "boolean"},
                "output": {"type": "string"},
                "output_dropped": {"type": "integer", "description": "Bytes"},
                "code_sha256": {"type": "string", "description": "Of names and content of all that was copied"},
                **RECORD,
            },
            "required": [*_COUNTED, "tests", "output", "output_dropped", "code_sha256", *RECORD],
        },
        permissions=Permissions(root=".", shell=True),  # noqa: S604 - a declaration
        risk="medium",
        repeat_safe=True,
        mutates=False,
    )


class RunTests:
    """As declared: ``config`` may name a ``profile``, whose time is then the longest; without one it is an hour."""

    def __init__(self, plan: ToolPlan) -> None:
        config = config_of(_Config, "run_tests", plan)
        self._limits = PROFILES[config.profile or "large"]
        most_s = _MOST_TIME_S if config.profile is None else self._limits.wall_s
        self.spec = _spec(self._limits.wall_s, most_s)

    async def call(self, args: dict[str, Any], context: ToolContext) -> dict[str, Any]:
        if context.sandbox is None:
            raise Failure("no sandbox to run tests in", code="sandbox_unavailable", hint="see `clew doctor`")
        repository = confine(context.root, args.get("path", "."))
        if not repository.is_dir():
            raise Failure(f"{args.get('path')}: not a directory", code="not_found")
        python = args.get("python") or _interpreter(repository)
        with file_errors(python):
            mounts = interpreter_mounts(python)
        profile = _profile(self._limits, args.get("timeout"), mounts)
        context.progress(None, "preparing the sandbox")
        async with opened(context.sandbox, profile) as sandbox:
            digest = await asyncio.to_thread(_copy, sandbox, repository)
            context.progress(None, "running the tests")
            result = await sandbox.execute(_request(python, repository, args.get("tests", [])))
            about = {"code_sha256": digest, **record(profile, result)}
            return await asyncio.to_thread(_summary, sandbox, result, python, about)


def _profile(limits: Profile, timeout: float | None, mounts: tuple[Any, ...]) -> Profile:
    """Processor time goes with the time that was asked for."""
    wall_s = float(timeout or limits.wall_s)
    cpu_s = limits.cpu_s * wall_s / limits.wall_s
    return msgspec.structs.replace(limits, wall_s=wall_s, cpu_s=cpu_s, mounts=mounts)


def _interpreter(repository: Path) -> str:
    for name in (".venv", "venv"):
        python = repository / name / "bin" / "python"
        if python.exists():
            return str(python)
    return sys.executable


def _copy(sandbox: Sandbox, repository: Path) -> str:
    sandbox.put_tree(repository, _COPY, ignore=tuple(sorted(SKIPPED)))
    return _digest(repository)


def _digest(repository: Path) -> str:
    """SHA-256 over path, a space, and the SHA-256 of the content or of a link's text, a line for each, in walking order."""
    total = hashlib.sha256()
    root = os.open(repository, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for found in walk_beneath(root, skip=SKIPPED.__contains__):
            own = hashlib.sha256()
            try:
                if found.kind == "link":
                    own.update(os.fsencode(os.readlink(found.path, dir_fd=root)))
                elif found.kind == "file":
                    with os.fdopen(open_regular(root, found.path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
                        while chunk := file.read(_CHUNK):
                            own.update(chunk)
            except OSError:
                continue  # vanished meanwhile
            total.update(os.fsencode(found.path) + b" " + own.hexdigest().encode() + b"\n")
    finally:
        os.close(root)
    return total.hexdigest()


def _request(python: str, repository: Path, tests: list[str]) -> ExecRequest:
    options = ("-q", "-p", "no:cacheprovider", "-o", "junit_family=xunit1", f"--junitxml=/workspace/{_REPORT}")
    source = f"{_COPY}/src:{_COPY}" if (repository / "src").is_dir() else _COPY
    return ExecRequest(
        argv=(python, "-B", "-m", "pytest", *options, "--", *tests)
        if tests
        else (python, "-B", "-m", "pytest", *options),
        cwd=_COPY,
        # Before site-packages: an editable installation would lead back to the original.
        env={"PYTHONPATH": source, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0", "TZ": "UTC"},
    )


def _summary(sandbox: Sandbox, result: ExecResult, python: str, about: dict[str, Any]) -> dict[str, Any]:
    output = result.stdout + result.stderr
    dropped = max(0, len(output) - _TAIL) + result.stdout_dropped + result.stderr_dropped
    said = output[-_TAIL:].decode("utf-8", "replace")
    if result.status == "INTERNAL_ERROR":
        raise Failure(f"the sandbox failed: {result.reason}", code="sandbox_failed")
    if result.rc == 1 and b"No module named pytest" in result.stderr:
        raise Failure(
            f"{python} has no pytest", code="no_pytest", hint="name with `python` an interpreter that has it installed"
        )
    tests: list[junit.TestOutcome] = []
    try:
        tests = junit.parse(sandbox.get(f"/workspace/{_REPORT}", _REPORT_LIMIT))
    except NotFound:
        if result.status == "OK" and result.rc not in (_NO_TESTS, _USAGE):
            raise Failure(
                f"pytest ended with {result.rc} and left no report",
                code="no_report",
                details={"output": said, **about},
            ) from None
    counts = {name: sum(test.outcome == name for test in tests) for name in ("passed", "failed", "error", "skipped")}
    tests.sort(key=lambda test: test.outcome not in ("failed", "error"))
    return {
        "passed": counts["passed"],
        "failed": counts["failed"],
        "errors": counts["error"],
        "skipped": counts["skipped"],
        "tests": [test.as_json() for test in tests[:_LISTED]],
        "truncated": len(tests) > _LISTED,
        "output": said,
        "output_dropped": dropped,
        **about,
    }
