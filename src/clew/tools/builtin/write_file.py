"""``write_file``: the whole content of one file, atomically."""

import asyncio
from typing import Any

from clew.core.errors import Failure
from clew.gate.ports.tool import Permissions, ToolContext, ToolSpec
from clew.tools.text import WRITE_LIMIT, Replacement, read_bytes, sha256
from clew.tools.validate import file_errors, opened_root


class WriteFile:
    spec = ToolSpec(
        id="write_file",
        description=(
            "Write a text file as a whole: readers see the old content or the new one, never a part. Missing "
            "directories are made. With `create_only` an existing file is an error (exists). With `expect_sha256` (from "
            "read_file) the file is written only if nobody changed it since (changed). To change some lines of a "
            "file use apply_patch instead."
        ),
        inputs={
            "type": "object",
            "properties": {
                "path": {"type": "string", "minLength": 1, "description": "File, relative to the root: src/a.py"},
                "content": {"type": "string", "maxLength": WRITE_LIMIT, "description": "The whole new content"},
                "create_only": {"type": "boolean", "default": False},
                "expect_sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
            },
            "required": ["path", "content"],
            "additionalProperties": False,
        },
        outputs={
            "type": "object",
            "properties": {
                "path": {"type": "string"},
                "bytes": {"type": "integer"},
                "created": {"type": "boolean"},
                "sha256": {"type": "string"},
            },
            "required": ["path", "bytes", "created", "sha256"],
        },
        permissions=Permissions(root="."),
        risk="medium",
        repeat_safe=True,
        mutates=True,
    )

    async def call(self, args: dict[str, Any], context: ToolContext) -> dict[str, Any]:
        return await asyncio.to_thread(_write, context, args)


def _write(context: ToolContext, args: dict[str, Any]) -> dict[str, Any]:
    path = args["path"]
    try:
        data = str(args["content"]).encode()
    except UnicodeEncodeError as error:
        raise Failure(f"content cannot be written as UTF-8: {error.reason}", code="invalid_arguments") from None
    if len(data) > WRITE_LIMIT:
        raise Failure(f"content of {len(data)} bytes is more than {WRITE_LIMIT}", code="too_large")
    with opened_root(context.root) as root, file_errors(path):
        try:
            old = read_bytes(root, path)
        except FileNotFoundError:
            old = None
        if old is not None and args.get("create_only", False):
            raise Failure(f"{path} exists already", code="exists", hint="leave out create_only to replace it")
        expected = args.get("expect_sha256")
        if expected is not None and (old is None or sha256(old) != expected):
            raise Failure(f"{path} was changed or removed since it was read", code="changed", hint="read it again")
        Replacement(root, path, data).commit()
    return {"path": path, "bytes": len(data), "created": old is None, "sha256": sha256(data)}
