"""The checkers behind ``static_analysis``: our own checks in a process of their own, Ruff in a sandbox. Neither runs the code."""

import asyncio
import json
import shutil
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from clew.core.errors import Failure
from clew.gate.ports.sandbox import MIB, ExecRequest, Mount, Profile, Sandbox, SandboxBackend
from clew.tools import pychecks
from clew.tools.opened import opened

RULES = "E4,E7,E9,F,B,PLE,ASYNC,C901,S102,S301,S307,S506,S602,S605"
"""What Ruff looks for; nothing of the project's own settings, so that the same code gives the same findings."""

_RUFF = "/opt/ruff"
_CODE = "/workspace/code"
_REPORT = "/workspace/report.json"
_REPORT_LIMIT = 64 * MIB
_TIME_S = 120.0
_OUTPUT_LIMIT = 16 * MIB
_PROFILE = Profile(wall_s=_TIME_S, cpu_s=_TIME_S, memory=2048 * MIB, workspace=256 * MIB)
_ERRORS = ("syntax", "invalid-syntax", "E9", "F5", "F6", "F7", "F82", "F83", "PLE", "unreachable")
_INFOS = ("E4", "E70", "E71", "E74", "C", "F541")

_SUGGESTIONS = {
    "F401": "Remove the import.",
    "F541": "Remove the `f` before the string.",
    "F601": "Remove one of the keys.",
    "F631": "Remove the parentheses: `assert condition, message`.",
    "F632": "Compare by `==` or `!=`.",
    "F811": "Rename or remove one of the definitions.",
    "F821": "Define or import the name, or correct its spelling.",
    "F901": "Raise `NotImplementedError`.",
    "B006": "Make the default `None`, and the value inside the function.",
    "B012": "Move the `return` out of `finally`.",
    "B015": "Assign the result, assert it, or remove the comparison.",
    "C901": "Split the function.",
    "E711": "Compare by `is None` or `is not None`.",
    "E712": "Use the value itself, or `not`.",
    "E722": "Name the exceptions; at least `except Exception:`.",
    "PLE0101": "Return nothing from `__init__`.",
    "S102": "Do without `exec`.",
    "S301": "Use JSON for data that comes from elsewhere.",
    "S307": "Use `ast.literal_eval` for literals.",
    "S506": "Use `yaml.safe_load`.",
    "S602": "Pass a list of arguments without `shell=True`.",
    "S605": "Use `subprocess.run` with a list of arguments.",
    "syntax": "Correct the syntax at this place.",
    "unreachable": "Remove the code, or the statement that ends the block before it.",
}


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong; ``suggestion`` may be empty."""

    path: str
    line: int
    column: int
    rule: str
    message: str
    suggestion: str = ""

    @property
    def severity(self) -> str:
        """``error``: wrong whenever it runs; ``info``: style; else ``warn``."""
        if self.rule.startswith(_INFOS):
            return "info"
        return "error" if self.rule.startswith(_ERRORS) else "warn"


async def own_findings(files: Mapping[str, bytes]) -> list[Finding]:
    """By our own checks. A file that takes the checker down is itself a finding, and so is what is left then."""
    found: list[Finding] = []
    left = dict(files)
    while left:
        done = await _checked(left, found)
        for path in done:
            del left[path]
        if left:
            worst = next(iter(left))
            found.append(_finding(worst, 1, 1, "syntax", "this file is too deep or too large to be parsed"))
            del left[worst]
    return found


async def _checked(files: Mapping[str, bytes], found: list[Finding]) -> list[str]:
    """Paths that were checked to their end; what was found is added."""
    program = str(Path(pychecks.__file__))
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-S", program, env={}, stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        job = b"".join(
            json.dumps({"path": path, "bytes": len(data)}).encode() + b"\n" + data for path, data in files.items()
        )
        async with asyncio.timeout(_TIME_S):
            output, _ = await process.communicate(job)
    except TimeoutError:
        raise Failure("the analysis took too long", code="analysis_timeout", hint="name a smaller target") from None
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await asyncio.shield(process.wait())
    done: list[str] = []
    part: list[Finding] = []
    for line in output.splitlines():
        with suppress(ValueError):  # cut off where it died
            fact: dict[str, Any] = json.loads(line)
            if "file" in fact:
                done.append(fact["file"])
                found += part
                part = []
            else:
                part.append(_finding(fact["path"], fact["line"], fact["column"], fact["rule"], fact["message"]))
    return done


def _finding(path: str, line: int, column: int, rule: str, message: str, suggestion: str = "") -> Finding:
    return Finding(
        path=path, line=line, column=column, rule=rule, message=message[:1000], suggestion=suggestion or _SUGGESTIONS.get(rule, "")
    )  # fmt: skip


def ruff_binary() -> str | None:
    """The Ruff that is installed with the engine or on the machine; never one of the code that is looked at."""
    found = shutil.which("ruff", path=f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin")
    return str(Path(found).resolve()) if found else None


async def ruff_findings(
    binary: str, backend: SandboxBackend, files: Mapping[str, bytes], *, fix: bool
) -> tuple[list[Finding], dict[str, bytes]]:
    """What Ruff finds, and the new content of the files that it changed (``fix``: what it calls safe to change)."""
    profile = msgspec.structs.replace(_PROFILE, mounts=(Mount(binary, _RUFF),))
    async with opened(backend, profile) as sandbox:
        await asyncio.to_thread(_fill, sandbox, files)
        result = await sandbox.execute(_request(fix=fix))
        if result.status != "OK" or result.rc not in (0, 1):
            why = result.reason or result.stderr.decode("utf-8", "replace")[-500:]
            raise Failure(f"ruff ended with {result.status} ({result.rc}): {why}", code="analysis_failed")
        report = await asyncio.to_thread(sandbox.get, _REPORT, _REPORT_LIMIT)
        changed = await asyncio.to_thread(_changed, sandbox, files) if fix else {}
    return [_of_ruff(one) for one in msgspec.json.decode(report)], changed


def _request(*, fix: bool) -> ExecRequest:
    options = ("--isolated", "--no-cache", "--target-version=py313", "--output-format=json", f"--output-file={_REPORT}")
    options += (f"--select={RULES}", "--config", f"lint.mccabe.max-complexity={pychecks.COMPLEX}", "--quiet")
    return ExecRequest(
        argv=(_RUFF, "check", *options, *(("--fix",) if fix else ()), "."),
        cwd=_CODE,
        env={"RAYON_NUM_THREADS": "2"},
    )


def _fill(sandbox: Sandbox, files: Mapping[str, bytes]) -> None:
    for path, data in files.items():
        sandbox.put(f"{_CODE}/{path}", data)


def _changed(sandbox: Sandbox, files: Mapping[str, bytes]) -> dict[str, bytes]:
    now = {path: sandbox.get(f"{_CODE}/{path}") for path in files}
    return {path: data for path, data in now.items() if data != files[path]}


def _of_ruff(one: dict[str, Any]) -> Finding:
    rule = one["code"] or "syntax"
    fix: dict[str, Any] = one["fix"] or {}
    place: dict[str, int] = one["location"] or {"row": 1, "column": 1}
    return _finding(
        str(one["filename"]).removeprefix(f"{_CODE}/"), place["row"], place["column"],
        "syntax" if rule == "invalid-syntax" else rule, one["message"], fix.get("message") or "",
    )  # fmt: skip
