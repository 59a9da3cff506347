"""``execute_code``: code of an agent in a sandbox without network, with nothing in it but what it is given."""

import asyncio
import hashlib
from typing import Annotated, Any, Literal

import msgspec

from clew.core.errors import Failure
from clew.gate.ports.sandbox import MIB, PROFILES, ExecResult, Languages, Profile
from clew.gate.ports.tool import Permissions, ToolContext, ToolSpec
from clew.manifest.compiled import ProfileName, ToolPlan
from clew.tools.builtin.declared import config_of
from clew.tools.executed import RECORD, record
from clew.tools.opened import opened
from clew.tools.text import read_bytes
from clew.tools.validate import file_errors, opened_root

Spoken = Literal["python", "javascript", "sql", "duckdb"]

_LANGUAGES: tuple[Spoken, ...] = ("python", "javascript", "sql")
_CODE_LIMIT = 256 * 1024
_FILES = 50
_FILE_LIMIT = 16 * MIB
_TOTAL_LIMIT = 64 * MIB
_OUTPUT = 128 * 1024
"""Bytes of each stream that are kept: what an agent can still read."""
_ROWS = 1000
_MOST_S = 3600.0

Seconds = Annotated[float, msgspec.Meta(gt=0, le=_MOST_S)]


class _Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    languages: Annotated[tuple[Spoken, ...], msgspec.Meta(min_length=1)] = _LANGUAGES
    profile: ProfileName = "standard"
    wall_s: Seconds | None = None
    cpu_s: Seconds | None = None
    memory: Annotated[int, msgspec.Meta(ge=32 * MIB, le=64 * 1024 * MIB)] | None = None


class ExecuteCode:
    """As declared: ``config`` has ``languages``, and the limits by name (``profile``) with those of ``wall_s``, ``cpu_s`` and
    ``memory`` (bytes) that shall be others."""

    def __init__(self, plan: ToolPlan, languages: Languages | None) -> None:
        config = config_of(_Config, "execute_code", plan)
        self._limits = _limits(config)
        self._languages = languages
        self.spec = _spec(config.languages, self._limits)

    async def call(self, args: dict[str, Any], context: ToolContext) -> dict[str, Any]:
        if context.sandbox is None or self._languages is None:
            raise Failure("no sandbox to run code in", code="sandbox_unavailable", hint="see `clew doctor`")
        files = await asyncio.to_thread(_files, args, context)
        context.progress(None, "preparing the sandbox")
        profile = self._profile(self._languages, args)
        async with opened(context.sandbox, profile) as sandbox:
            with file_errors("files"):
                request = await asyncio.to_thread(
                    self._languages.request, sandbox, args["language"], _text(args["code"]), files
                )
            context.progress(None, f"running {args['language']}")
            result = await sandbox.execute(request)
        if result.status == "INTERNAL_ERROR":
            raise Failure(f"the sandbox failed: {result.reason}", code="sandbox_failed")
        return _report(args, profile, result)

    def _profile(self, languages: Languages, args: dict[str, Any]) -> Profile:
        with file_errors(args["language"]):
            mounts = languages.mounts(args["language"])
        wall_s = min(self._limits.wall_s, float(args.get("timeout", self._limits.wall_s)))
        return msgspec.structs.replace(self._limits, wall_s=wall_s, mounts=mounts)


def _limits(config: _Config) -> Profile:
    own = {"wall_s": config.wall_s, "cpu_s": config.cpu_s, "memory": config.memory}
    given = {name: value for name, value in own.items() if value is not None}
    return msgspec.structs.replace(PROFILES[config.profile], output=_OUTPUT, **given)


def _files(args: dict[str, Any], context: ToolContext) -> dict[str, bytes]:
    """What the workspace holds besides the code: what was given, and copies of files below the root."""
    files = {path: _text(content).encode() for path, content in args.get("files", {}).items()}
    total = sum(len(data) for data in files.values())
    if copied := args.get("copy", []):
        with opened_root(context.root) as root:
            for path in copied:
                with file_errors(path):
                    files[path] = read_bytes(root, path, _FILE_LIMIT)
                total += len(files[path])
    if total > _TOTAL_LIMIT:
        raise Failure(f"files of {total} bytes are more than {_TOTAL_LIMIT}", code="too_large")
    return files


def _text(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Failure("the text holds characters that UTF-8 cannot", code="invalid_arguments") from None
    return text


def _report(args: dict[str, Any], profile: Profile, result: ExecResult) -> dict[str, Any]:
    report: dict[str, Any] = {
        "language": args["language"],
        "code_sha256": hashlib.sha256(args["code"].encode()).hexdigest(),
        "stdout": result.stdout.decode("utf-8", "replace"),
        "stderr": result.stderr.decode("utf-8", "replace"),
        **record(profile, result),
    }
    if args["language"] in ("sql", "duckdb"):
        report |= {"results": _results(result.stdout), "stdout": ""}
    return report


def _results(stdout: bytes) -> list[dict[str, Any]]:
    """One for each statement that yields rows: a line with its columns, then a line for each row."""
    results: list[dict[str, Any]] = []
    for line in stdout.splitlines():
        try:
            fact: Any = msgspec.json.decode(line)
        except (msgspec.DecodeError, RecursionError, ValueError):
            continue  # the end was cut off
        if isinstance(fact, dict):
            results.append({**fact, "rows": [], "truncated": False})
        elif results and len(results[-1]["rows"]) < _ROWS:
            results[-1]["rows"].append(fact)
        elif results:
            results[-1]["truncated"] = True
    return results


_FIELDS: dict[str, Any] = {
    "language": {"type": "string"},
    "code_sha256": {"type": "string"},
    "stdout": {"type": "string"},
    "stderr": {"type": "string"},
    **RECORD,
    "results": {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {
                "columns": {"type": "array", "items": {"type": "string"}},
                "rows": {"type": "array", "items": {"type": "array"}},
                "truncated": {"type": "boolean"},
            },
            "required": ["columns", "rows", "truncated"],
        },
    },
}


def _spec(languages: tuple[Spoken, ...], limits: Profile) -> ToolSpec:
    return ToolSpec(
        id="execute_code",
        description=(
            f"Run code ({', '.join(languages)}) in an empty sandbox without network, and return what it printed. The "
            "working directory is /workspace; it holds `files` (path: text) and copies of the project's files named in `copy`, "
            "and is gone afterwards: print what you want to know. python is the standard library alone. sql is SQLite's: every "
            "CSV file there is a table named after it (data/sales.csv is sales), and each statement's rows come in `results`. "
            f"Limits: {limits.wall_s:g} s, {limits.cpu_s:g} s of processor time, {limits.memory // MIB} MiB, {_OUTPUT // 1024} KiB "
            "of each stream. A non-zero `rc` or a `status` that is not OK (TIMEOUT, CPU_LIMIT, MEM_LIMIT, KILLED, DENIED) is a "
            "result, not an error: read `reason` and `stderr`. Fails with language_unavailable or sandbox_unavailable."
        ),
        inputs={
            "type": "object",
            "properties": {
                "language": {"enum": list(languages)},
                "code": {"type": "string", "minLength": 1, "maxLength": _CODE_LIMIT},
                "files": {
                    "type": "object",
                    "maxProperties": _FILES,
                    "additionalProperties": {"type": "string", "maxLength": _FILE_LIMIT},
                },
                "copy": {"type": "array", "items": {"type": "string", "minLength": 1}, "maxItems": _FILES},
                "timeout": {"type": "number", "exclusiveMinimum": 0, "maximum": limits.wall_s, "default": limits.wall_s},
            },
            "required": ["language", "code"],
            "additionalProperties": False,
        },
        outputs={
            "type": "object",
            "properties": _FIELDS,
            "required": ["language", "code_sha256", "stdout", "stderr", *RECORD],
        },
        permissions=Permissions(root=".", shell=True),  # noqa: S604 - a declaration
        risk="medium",
        repeat_safe=True,
        mutates=False,
    )  # fmt: skip
