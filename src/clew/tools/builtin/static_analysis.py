"""``static_analysis``: what is wrong in Python code, found without running it; some of it mended where a project allows it."""

import asyncio
import difflib
from typing import Any, NamedTuple

import msgspec

from clew.core.errors import Failure
from clew.gate.beneath import walk_beneath
from clew.gate.ports.tool import Permissions, ToolContext, ToolSpec
from clew.manifest.compiled import ToolPlan
from clew.tools.builtin.declared import config_of
from clew.tools.builtin.list_files import SKIPPED, printable
from clew.tools.lint import Finding, own_findings, ruff_binary, ruff_findings
from clew.tools.text import Replacement, read_bytes
from clew.tools.validate import file_errors, opened_root

MOST_SUGGESTIONS = 10
SUGGESTION_LIMIT = 256
_LISTED = 500
_FILES = 5000
_FILE_LIMIT = 1024 * 1024
_TOTAL_LIMIT = 32 * 1024 * 1024
_WALKED = 200_000
_DIFF_LIMIT = 100_000
_SEVERITIES = ("error", "warn", "info")


class _Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    fix: bool = False


class StaticAnalysis:
    """As declared: with ``config: {fix: true}`` it may change files."""

    def __init__(self, plan: ToolPlan) -> None:
        self.spec = _spec(mends=config_of(_Config, "static_analysis", plan).fix)

    async def call(self, args: dict[str, Any], context: ToolContext) -> dict[str, Any]:
        target, fix = args["target"], bool(args.get("fix", False))
        read = await asyncio.to_thread(_read, context, target)
        context.progress(None, f"checking {len(read.files)} files")
        ruff = ruff_binary() if context.sandbox is not None and read.files else None
        found, changed = await own_findings(read.files), dict[str, bytes]()
        if ruff is not None and context.sandbox is not None:
            context.progress(0.5, "running ruff")
            theirs, changed = await ruff_findings(ruff, context.sandbox, read.files, fix=fix)
            own = await own_findings({**read.files, **changed}) if changed else found
            found = [*theirs, *(one for one in own if one.rule == "unreachable")]  # all other rules are Ruff's too
        elif fix:
            raise Failure("nothing can be mended here: that needs ruff and a sandbox", code="no_ruff")
        if changed:
            await asyncio.to_thread(_write, context, read.files, changed)
        return _result(target, read, found, changed, "ruff" if ruff is not None else "ast")


_OUTPUTS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "kind": {"const": "analysis"},
        "target": {"type": "string"},
        "engine": {"enum": ["ruff", "ast"]},
        "severity": {"enum": list(_SEVERITIES), "description": "The worst; info when there is none"},
        "findings": {
            "type": "array",
            "description": f"Worst first, at most {_LISTED}",
            "items": {
                "type": "object",
                "properties": {
                    "severity": {"enum": list(_SEVERITIES)},
                    "location": {"type": "string"},
                    "rule": {"type": "string"},
                    "message": {"type": "string"},
                    "suggestion": {"type": "string"},
                },
                "required": ["severity", "location", "rule", "message", "suggestion"],
            },
        },
        "truncated": {"type": "boolean"},
        "counts": {"type": "object", "additionalProperties": {"type": "integer"}},
        "suggestions": {
            "type": "array",
            "items": {"type": "string", "maxLength": SUGGESTION_LIMIT},
            "maxItems": MOST_SUGGESTIONS,
        },
        "files": {"type": "integer"},
        "skipped": {"type": "integer", "description": "Too large or unreadable"},
        "fixed": {"type": "array", "items": {"type": "string"}},
        "diff": {"type": "string"},
    },
    "required": [
        "kind",
        "target",
        "engine",
        "severity",
        "findings",
        "truncated",
        "counts",
        "suggestions",
        "files",
    ],
}


def _spec(*, mends: bool) -> ToolSpec:
    mending = (
        "With `fix` what can be changed without changing the meaning is changed in the files; `diff` shows it, and the "
        "findings are those that are left. "
    )
    properties: dict[str, Any] = {
        "target": {"type": "string", "minLength": 1, "description": "File or directory, relative to the root"}
    }
    if mends:
        properties["fix"] = {"type": "boolean", "default": False}
    return ToolSpec(
        id="static_analysis",
        description=(
            "Look for mistakes in the Python files of `target` without running them: syntax, undefined and unused names, "
            "likely bugs, unsafe calls, functions that are too complex. Each finding has a severity (error: wrong whenever "
            "it runs; warn; info: style), a location path:line:column, a message and, where there is one, a suggestion. "
            f"{mending if mends else ''}Lines with `# noqa` are left out. `engine` is ruff where it is installed and there is "
            "a sandbox, else ast: fewer checks. Fails with not_found, outside_root, too_large or no_python."
        ),
        inputs={"type": "object", "properties": properties, "required": ["target"], "additionalProperties": False},
        outputs=_OUTPUTS,
        permissions=Permissions(root="."),
        risk="medium" if mends else "low",
        repeat_safe=True,
        mutates=mends,
    )


class _Read(NamedTuple):
    files: dict[str, bytes]
    skipped: int


def _read(context: ToolContext, target: str) -> _Read:
    files: dict[str, bytes] = {}
    skipped = total = 0
    with opened_root(context.root) as root, file_errors(target):
        for path, size in _python_files(root, target):
            if len(files) == _FILES or total > _TOTAL_LIMIT:
                raise Failure(f"{target}: more than {_FILES} files or {_TOTAL_LIMIT} bytes of code", code="too_large")
            try:
                if size > _FILE_LIMIT or printable(path) != path:
                    raise Failure(f"{path}: too large", code="too_large")
                files[path] = read_bytes(root, path, _FILE_LIMIT)
                total += len(files[path])
            except (OSError, Failure):
                skipped += 1
    if not files and not skipped:
        raise Failure(f"{target}: no Python files there", code="no_python")
    return _Read(files, skipped)


def _python_files(root: int, target: str) -> list[tuple[str, int]]:
    """The file itself, or those below the directory."""
    try:
        found = walk_beneath(root, target, skip=SKIPPED.__contains__, most=_WALKED)
        return [(one.path, one.size) for one in found if one.kind == "file" and one.path.endswith((".py", ".pyi"))]
    except NotADirectoryError:
        read_bytes(root, target, _FILE_LIMIT)
        return [("/".join(part for part in target.split("/") if part not in ("", ".")), 0)]


def _write(context: ToolContext, before: dict[str, bytes], changed: dict[str, bytes]) -> None:
    with opened_root(context.root) as root:
        for path in changed:
            with file_errors(path):
                if read_bytes(root, path, _FILE_LIMIT) != before[path]:
                    raise Failure(f"{path} was changed while it was looked at", code="changed", hint="do it again")
        for path, data in changed.items():
            with file_errors(path):
                Replacement(root, path, data).commit()


def _result(target: str, read: _Read, found: list[Finding], changed: dict[str, bytes], engine: str) -> dict[str, Any]:
    found.sort(key=lambda one: (_SEVERITIES.index(one.severity), one.path, one.line, one.column, one.rule))
    counts = {severity: sum(one.severity == severity for one in found) for severity in _SEVERITIES}
    result: dict[str, Any] = {
        "kind": "analysis",
        "target": target,
        "engine": engine,
        "severity": next((severity for severity in _SEVERITIES if counts[severity]), "info"),
        "findings": [_shown(one) for one in found[:_LISTED]],
        "truncated": len(found) > _LISTED,
        "counts": counts,
        "suggestions": _suggestions(found),
        "files": len(read.files),
        "skipped": read.skipped,
    }
    if changed:
        diff = "".join(_diff(path, read.files[path], data) for path, data in sorted(changed.items()))
        result |= {"fixed": sorted(changed), "diff": diff[:_DIFF_LIMIT]}
    return result


def _shown(one: Finding) -> dict[str, str]:
    return {
        "severity": one.severity,
        "location": _location(one),
        "rule": one.rule,
        "message": one.message,
        "suggestion": one.suggestion[:SUGGESTION_LIMIT],
    }


def _location(one: Finding) -> str:
    return f"{one.path}:{one.line}:{one.column}"


def _suggestions(found: list[Finding]) -> list[str]:
    """The first ones, each kind of mend once, with the place of the first that it is for."""
    kinds: dict[tuple[str, str], str] = {}
    for one in found:
        if one.suggestion:
            kinds.setdefault((one.rule, one.suggestion), f"{_location(one)}: {one.suggestion}"[:SUGGESTION_LIMIT])
    return list(kinds.values())[:MOST_SUGGESTIONS]


def _diff(path: str, before: bytes, after: bytes) -> str:
    old, new = (data.decode("utf-8", "replace").splitlines(keepends=True) for data in (before, after))
    return "".join(difflib.unified_diff(old, new, f"a/{path}", f"b/{path}"))
