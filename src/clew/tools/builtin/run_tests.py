"""``run_tests``: a repository's pytest suite in a sandbox, on a copy of the repository."""

import asyncio
import sys
from pathlib import Path
from typing import Any

from clew.core.errors import Failure, NotFound
from clew.gate.interpreter import interpreter_mounts
from clew.gate.ports.sandbox import MIB, ExecRequest, ExecResult, Profile, Sandbox
from clew.gate.ports.tool import Permissions, ToolContext, ToolSpec
from clew.tools import junit
from clew.tools.builtin.list_files import SKIPPED
from clew.tools.opened import opened
from clew.tools.validate import confine, file_errors

_REPORT = ".clew-report.xml"
_REPORT_LIMIT = 64 * MIB
_COPY = "/workspace/repository"
_TIME_S = 300
_MOST_TIME_S = 3600
_TAIL = 4000
_LISTED = 500
_NO_TESTS = 5
_USAGE = 4
_PROFILE = Profile(cpu_s=_MOST_TIME_S, memory=2048 * MIB, processes=256, workspace=1024 * MIB, file_size=256 * MIB)


class RunTests:
    spec = ToolSpec(
        id="run_tests",
        description=(
            "Run the pytest suite of the repository at `path` and return each test's outcome. It runs on a copy, in a "
            "sandbox without network: nothing in the repository is changed, and tests that need a network fail. "
            "`tests` narrows it to files or ids (tests/test_a.py::test_b). `python` is the interpreter to use, by "
            "default the repository's .venv. Not all passed is a result, not an error: look at `failed`, `errors` and "
            "`tests`. `status` is OK when pytest ended by itself, else TIMEOUT, CPU_LIMIT, MEM_LIMIT or KILLED; "
            "`output` is the end of what pytest printed. Fails with no_pytest, no_report or sandbox_unavailable."
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
                "timeout": {"type": "number", "exclusiveMinimum": 0, "maximum": _MOST_TIME_S, "default": _TIME_S},
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
                "rc": {"type": ["integer", "null"]},
                "status": {"type": "string"},
                "reason": {"type": "string"},
                "output": {"type": "string"},
                "duration_ms": {"type": "integer"},
            },
            "required": ["passed", "failed", "errors", "skipped", "tests", "rc", "status", "duration_ms"],
        },
        permissions=Permissions(root=".", shell=True),  # noqa: S604 - a declaration
        risk="medium",
        repeat_safe=True,
        mutates=False,
    )

    async def call(self, args: dict[str, Any], context: ToolContext) -> dict[str, Any]:
        if context.sandbox is None:
            raise Failure("no sandbox to run tests in", code="sandbox_unavailable", hint="see `clew doctor`")
        repository = confine(context.root, args.get("path", "."))
        if not repository.is_dir():
            raise Failure(f"{args.get('path')}: not a directory", code="not_found")
        python = args.get("python") or _interpreter(repository)
        timeout = float(args.get("timeout", _TIME_S))
        with file_errors(python):
            mounts = interpreter_mounts(python)
        profile = _profile(timeout, mounts)
        context.progress(None, "preparing the sandbox")
        async with opened(context.sandbox, profile) as sandbox:
            await asyncio.to_thread(_copy, sandbox, repository)
            context.progress(None, "running the tests")
            result = await sandbox.execute(_request(python, repository, args.get("tests", [])))
            return await asyncio.to_thread(_summary, sandbox, result, python)


def _profile(timeout: float, mounts: tuple[Any, ...]) -> Profile:
    return Profile(
        wall_s=timeout,
        cpu_s=4 * timeout,
        memory=_PROFILE.memory,
        processes=_PROFILE.processes,
        file_size=_PROFILE.file_size,
        workspace=_PROFILE.workspace,
        mounts=mounts,
    )


def _interpreter(repository: Path) -> str:
    for name in (".venv", "venv"):
        python = repository / name / "bin" / "python"
        if python.exists():
            return str(python)
    return sys.executable


def _copy(sandbox: Sandbox, repository: Path) -> None:
    sandbox.put_tree(repository, _COPY, ignore=tuple(sorted(SKIPPED)))


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


def _summary(sandbox: Sandbox, result: ExecResult, python: str) -> dict[str, Any]:
    output = (result.stdout + result.stderr).decode("utf-8", "replace")
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
                details={"output": output[-_TAIL:]},
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
        "rc": result.rc,
        "status": result.status,
        "reason": result.reason,
        "output": output[-_TAIL:],
        "duration_ms": result.duration_ms,
    }
