"""``search_files``: lines that hold a text or match a regular expression.

A text is looked for here; a regular expression runs in another process (``tools.matcher``) that is killed when the
time is up, because nothing else stops a pattern that backtracks.
"""

import asyncio
import json
import sys
import time
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path
from typing import Any

from clew.core.errors import Failure
from clew.gate.beneath import walk_beneath
from clew.gate.ports.tool import Permissions, ToolContext, ToolSpec
from clew.tools import matcher
from clew.tools.builtin.list_files import SKIPPED, matches, printable
from clew.tools.text import read_bytes
from clew.tools.validate import file_errors, opened_root

_MOST = 1000
_WIDTH = 400
_FILE_LIMIT = 2 * 1024 * 1024
_TOTAL_LIMIT = 256 * 1024 * 1024
_WALKED = 200_000
_TIME_S = 10.0
_PROBE = 8192


class SearchFiles:
    spec = ToolSpec(
        id="search_files",
        description=(
            "Find lines in text files below `path`. `query` is plain text unless `regex` is true (Python syntax, one "
            "line at a time). `pattern` is a glob on file names (*.py) or paths (src/*). Returns path, line number and "
            "line (cut at 400 characters), in path order. Binary files, files over 2 MiB, version control, caches and "
            "virtual environments are skipped. `truncated` says that `limit` matches were found and there may be more; "
            "a search that takes over 10 seconds fails with search_timeout: narrow `path`, or simplify the expression."
        ),
        inputs={
            "type": "object",
            "properties": {
                "query": {"type": "string", "minLength": 1, "maxLength": 1000},
                "regex": {"type": "boolean", "default": False},
                "ignore_case": {"type": "boolean", "default": False},
                "path": {"type": "string", "default": ".", "description": "Directory, relative to the root"},
                "pattern": {"type": "string", "maxLength": 500},
                "limit": {"type": "integer", "minimum": 1, "maximum": _MOST, "default": 100},
            },
            "required": ["query"],
            "additionalProperties": False,
        },
        outputs={
            "type": "object",
            "properties": {
                "matches": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {
                            "path": {"type": "string"},
                            "line": {"type": "integer"},
                            "text": {"type": "string"},
                        },
                        "required": ["path", "line", "text"],
                    },
                },
                "truncated": {"type": "boolean"},
                "files_searched": {"type": "integer"},
                "files_skipped": {"type": "integer", "description": "Binary, too large or unreadable"},
            },
            "required": ["matches", "truncated", "files_searched", "files_skipped"],
        },
        permissions=Permissions(root="."),
        risk="low",
        repeat_safe=True,
        mutates=False,
    )

    async def call(self, args: dict[str, Any], context: ToolContext) -> dict[str, Any]:
        search = _Search(args, context)
        if args.get("regex", False):
            await search.regex()
        else:
            await asyncio.to_thread(search.literal)
        return search.result()


class _Search:
    def __init__(self, args: dict[str, Any], context: ToolContext) -> None:
        self._args = args
        self._root = context.root
        self._limit: int = args.get("limit", 100)
        self._ignore_case: bool = args.get("ignore_case", False)
        self._deadline = time.monotonic() + _TIME_S
        self._matches: list[dict[str, Any]] = []
        self._searched = 0
        self._skipped = 0

    def result(self) -> dict[str, Any]:
        return {
            "matches": self._matches[: self._limit],
            "truncated": len(self._matches) >= self._limit,
            "files_searched": self._searched,
            "files_skipped": self._skipped,
        }

    def literal(self) -> None:
        query = str(self._args["query"])
        wanted = query.casefold() if self._ignore_case else query
        for path, data in self._files():
            for number, line in enumerate(data.decode("utf-8", "replace").split("\n"), 1):
                if wanted in (line.casefold() if self._ignore_case else line):
                    self._matches.append({"path": path, "line": number, "text": line.rstrip("\r")[:_WIDTH]})
                    if len(self._matches) == self._limit:
                        return

    async def regex(self) -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            "-S",
            str(Path(matcher.__file__)),
            env={},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            async with asyncio.timeout(_TIME_S):
                feeding = asyncio.create_task(self._feed(process.stdin))
                try:
                    await self._collect(process.stdout)
                finally:
                    feeding.cancel()
                    with suppress(asyncio.CancelledError, BrokenPipeError, ConnectionResetError):
                        await feeding
        except TimeoutError:
            raise _too_slow() from None
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await asyncio.shield(process.wait())

    async def _feed(self, sink: asyncio.StreamWriter | None) -> None:
        if sink is None:
            return
        job = {
            "pattern": self._args["query"],
            "ignore_case": self._ignore_case,
            "most": self._limit,
            "width": _WIDTH,
        }
        files = self._files()
        try:
            sink.write(json.dumps(job).encode() + b"\n")
            while (found := await asyncio.to_thread(next, files, None)) is not None:
                path, data = found
                sink.write(json.dumps({"path": path, "bytes": len(data)}).encode() + b"\n" + data)
                await sink.drain()
        except (BrokenPipeError, ConnectionResetError):  # it has found enough, or has refused the pattern
            return
        finally:
            sink.close()
            with suppress(ValueError):  # cancelled while a thread is in it: it ends with that thread
                files.close()

    async def _collect(self, source: asyncio.StreamReader | None) -> None:
        while source is not None and (line := await source.readline()):
            fact: dict[str, Any] = json.loads(line)
            if "error" in fact:
                raise Failure(f"regular expression: {fact['error']}", code="invalid_regex")
            if "done" in fact:
                return
            self._matches.append(fact)
        raise Failure("the regular expression needs too much memory or time", code="search_timeout")

    def _files(self) -> Generator[tuple[str, bytes]]:
        path = self._args.get("path", ".")
        total = 0
        with opened_root(self._root) as root, file_errors(path):
            for found in walk_beneath(root, path, skip=SKIPPED.__contains__, most=_WALKED):
                if time.monotonic() > self._deadline or total > _TOTAL_LIMIT:
                    raise _too_slow()
                if found.kind != "file" or not matches(found.path, self._args.get("pattern")):
                    continue
                data = self._text(root, found.path, found.size)
                if data is not None:
                    total += len(data)
                    yield printable(found.path), data

    def _text(self, root: int, path: str, size: int) -> bytes | None:
        with suppress(OSError, Failure):
            if size <= _FILE_LIMIT:
                data = read_bytes(root, path, _FILE_LIMIT)
                if b"\0" not in data[:_PROBE]:
                    self._searched += 1
                    return data
        self._skipped += 1
        return None


def _too_slow() -> Failure:
    return Failure(
        f"the search took longer than {_TIME_S:g} s or read too much",
        code="search_timeout",
        hint="narrow it by path or pattern, or make the regular expression simpler",
    )
