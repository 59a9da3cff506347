"""What the models of code agents may look at: a repository as it is with the changes laid over it, by tools that only read.

The changes lie in a folder of their own, and a tool looks at both: what it finds there stands in the place of what it finds in the
repository's files of these names. Nothing outside is reached (``gate.beneath``), and nothing hidden: version control,
environments, whatever has a name that begins with a dot.
"""

import asyncio
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from clew.agents.code import workspace
from clew.agents.code.roles.seat import Payload, understood
from clew.agents.code.roles.tree import placed
from clew.core.errors import Failure
from clew.gate.ports.tool import Tool, ToolContext
from clew.tools.builtin.list_files import ListFiles
from clew.tools.builtin.read_file import ReadFile
from clew.tools.builtin.search_files import SearchFiles

Json = dict[str, Any]

_TOOLS: dict[str, Tool] = {tool.spec.id: tool for tool in (ListFiles(), SearchFiles(), ReadFile())}
_LISTS = {"list_files": "entries", "search_files": "matches"}
_SUMS = ("files_searched", "files_skipped")
LOOKING = {name: tool.spec for name, tool in _TOOLS.items()}
"""The tools, as a model is told of them."""


async def look(payload: Json, tool: str, arguments: Json) -> Json:
    """What the tool gives. Raises Failure as the tool does, and ``forbidden_path`` for what is hidden."""
    wanted = understood(Payload, payload)
    path = str(arguments.get("path", ""))
    if _hidden(path):
        raise Failure(f"{path}: hidden files are not shown", code="forbidden_path")
    repo = workspace.repository(wanted.repo)
    with tempfile.TemporaryDirectory(prefix="clew-changes-") as folder:
        await asyncio.to_thread(_lay, Path(folder), wanted.changes)
        roots = (Path(folder), repo) if wanted.changes else (repo,)
        if tool not in _LISTS:
            return (await _found(tool, arguments, roots))[0]
        limit = LOOKING[tool].inputs["properties"]["limit"]
        found = await _found(tool, {**arguments, "limit": limit["maximum"]}, roots)
    return _joined(_LISTS[tool], found, wanted.changes, arguments.get("limit", limit["default"]))


def _lay(folder: Path, changes: Mapping[str, str]) -> None:
    for name, text in changes.items():
        file = folder / placed(name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8", newline="")


async def _found(tool: str, arguments: Json, roots: Iterable[Path]) -> list[Json]:
    """What is found under the roots, those left out where there is nothing of that name."""
    found: list[Json] = []
    missing: Failure | None = None
    for root in roots:
        try:
            found.append(await _TOOLS[tool].call(arguments, ToolContext(project_dir=root, root=root)))
        except Failure as failure:
            if failure.code != "not_found":
                raise
            missing = failure
    if missing is not None and not found:
        raise missing
    return found


def _joined(key: str, found: list[Json], changes: Iterable[str], most: int) -> Json:
    """Lists in path order; the first that has an entry is right, and changed files are those of the changes."""
    changed = {placed(name) for name in changes}
    entries: dict[tuple[str, int], Json] = {}
    for number, part in enumerate(found):
        for one in part[key]:
            if not _hidden(one["path"]) and not (number and one["path"] in changed):
                entries.setdefault((one["path"], one.get("line", 0)), one)
    sums = {name: sum(part[name] for part in found) for name in _SUMS if name in found[0]}
    whole = [entries[place] for place in sorted(entries)]
    truncated = len(whole) > most or any(part["truncated"] for part in found)
    return {key: whole[:most], "truncated": truncated, **sums}


def _hidden(path: str) -> bool:
    return any(part.startswith(".") for part in path.split("/") if part not in (".", ".."))
