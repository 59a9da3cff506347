"""``list_files``: names, kinds and sizes below a directory."""

import asyncio
from fnmatch import fnmatchcase
from typing import Any

from clew.gate.beneath import parts_beneath, walk_beneath
from clew.gate.ports.tool import Permissions, ToolContext, ToolSpec
from clew.tools.validate import file_errors, opened_root

_MOST = 2000
_WALKED = 200_000
SKIPPED = frozenset(
    {".git", ".hg", ".svn", "__pycache__", "node_modules", ".venv", "venv", ".tox", ".mypy_cache", ".clew"}
)


class ListFiles:
    spec = ToolSpec(
        id="list_files",
        description=(
            "List files and directories below `path`, in path order. `pattern` is a glob on the name (*.py) or, with a "
            "slash, on the whole path (tests/*_test.py); `depth` 1 lists one directory. Version control, caches and "
            "virtual environments are left out unless `all` is true. Links are listed, not followed."
        ),
        inputs={
            "type": "object",
            "properties": {
                "path": {"type": "string", "default": ".", "description": "Directory, relative to the root"},
                "pattern": {"type": "string", "maxLength": 500},
                "depth": {"type": "integer", "minimum": 1, "maximum": 1000},
                "all": {"type": "boolean", "default": False},
                "limit": {"type": "integer", "minimum": 1, "maximum": _MOST, "default": 500},
            },
            "additionalProperties": False,
        },
        outputs={
            "type": "object",
            "properties": {
                "entries": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {
                            "path": {"type": "string"},
                            "kind": {"enum": ["file", "directory", "link"]},
                            "size": {"type": "integer"},
                        },
                        "required": ["path", "kind", "size"],
                    },
                },
                "truncated": {"type": "boolean"},
            },
            "required": ["entries", "truncated"],
        },
        permissions=Permissions(root="."),
        risk="low",
        repeat_safe=True,
        mutates=False,
    )

    async def call(self, args: dict[str, Any], context: ToolContext) -> dict[str, Any]:
        return await asyncio.to_thread(_list, context, args)


def matches(path: str, pattern: str | None) -> bool:
    """Glob on the name, or on the whole path when the pattern holds a slash."""
    return pattern is None or fnmatchcase(path if "/" in pattern else path.rpartition("/")[2], pattern)


def _list(context: ToolContext, args: dict[str, Any]) -> dict[str, Any]:
    path = args.get("path", ".")
    limit = args.get("limit", 500)
    skipped: frozenset[str] = frozenset() if args.get("all", False) else SKIPPED
    entries: list[dict[str, Any]] = []
    truncated = False
    with opened_root(context.root) as root, file_errors(path):
        base = len(parts_beneath(path))
        for found in walk_beneath(root, path, skip=skipped.__contains__, most=_WALKED):
            depth = found.path.count("/") + 1 - base
            if depth > args.get("depth", depth) or not matches(found.path, args.get("pattern")):
                continue
            if len(entries) == limit:
                truncated = True
                break
            size = found.size if found.kind == "file" else 0
            entries.append({"path": printable(found.path), "kind": found.kind, "size": size})
    return {"entries": entries, "truncated": truncated}


def printable(path: str) -> str:
    """Names that are not UTF-8 as JSON can hold them."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
