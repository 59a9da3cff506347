"""``read_file``: lines of a text file."""

import asyncio
from typing import Any

from clew.core.errors import Failure
from clew.gate.ports.tool import Permissions, ToolContext, ToolSpec
from clew.tools.text import READ_LIMIT, decode, read_bytes, sha256, split_lines
from clew.tools.validate import file_errors, opened_root

_LINES = 2000
_CHARACTERS = 200_000


class ReadFile:
    spec = ToolSpec(
        id="read_file",
        description=(
            "Read a UTF-8 text file. Returns its text from `start` (a line number, the first line is 1), at most "
            "`lines` lines and 200,000 characters; `truncated` is true when there is more: call again with `start` set "
            "to `next`. Fails with not_found, is_directory, outside_root, binary_file or too_large (over 4 MiB)."
        ),
        inputs={
            "type": "object",
            "properties": {
                "path": {"type": "string", "minLength": 1, "description": "File, relative to the root: src/a.py"},
                "start": {"type": "integer", "minimum": 1, "default": 1, "description": "First line to return"},
                "lines": {"type": "integer", "minimum": 1, "maximum": _LINES, "default": _LINES},
            },
            "required": ["path"],
            "additionalProperties": False,
        },
        outputs={
            "type": "object",
            "properties": {
                "path": {"type": "string"},
                "text": {"type": "string"},
                "start": {"type": "integer"},
                "next": {"type": ["integer", "null"], "description": "Line to go on with; null at the end"},
                "total_lines": {"type": "integer"},
                "truncated": {"type": "boolean"},
                "sha256": {"type": "string", "description": "Of the whole file; write_file can be told to expect it"},
            },
            "required": ["path", "text", "start", "next", "total_lines", "truncated", "sha256"],
        },
        permissions=Permissions(root="."),
        risk="low",
        repeat_safe=True,
        mutates=False,
    )

    async def call(self, args: dict[str, Any], context: ToolContext) -> dict[str, Any]:
        return await asyncio.to_thread(_read, context, args["path"], args.get("start", 1), args.get("lines", _LINES))


def _read(context: ToolContext, path: str, start: int, count: int) -> dict[str, Any]:
    with opened_root(context.root) as root, file_errors(path):
        data = read_bytes(root, path, READ_LIMIT)
    lines = split_lines(decode(data, path))
    if start > max(1, len(lines)):
        raise Failure(f"{path} has {len(lines)} lines, start is {start}", code="past_end")
    taken: list[str] = []
    room = _CHARACTERS
    for line in lines[start - 1 : start - 1 + count]:
        if len(line) > room and taken:
            break
        taken.append(line[:room])
        room -= len(line)
    after = start + len(taken)
    return {
        "path": path,
        "text": "".join(taken),
        "start": start,
        "next": after if after <= len(lines) else None,
        "total_lines": len(lines),
        "truncated": after <= len(lines) or room < 0,
        "sha256": sha256(data),
    }
