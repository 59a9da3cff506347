"""``apply_patch``: a unified diff over one or many files, all of it or nothing."""

import asyncio
import os
from typing import Any

from clew.core.errors import Failure
from clew.gate.beneath import open_regular, parent_beneath
from clew.gate.ports.tool import Permissions, ToolContext, ToolSpec
from clew.tools.patch import FilePatch, HunkMisfit, Placed, apply, parse
from clew.tools.text import Replacement, decode, read_bytes
from clew.tools.validate import file_errors, opened_root

_PATCH_LIMIT = 2 * 1024 * 1024


class ApplyPatch:
    spec = ToolSpec(
        id="apply_patch",
        description=(
            "Apply a unified diff (as of `diff -u` or `git diff`) to files below the root: change, create (--- /dev/null), "
            "delete (+++ /dev/null), rename. All files are changed or none. Every line of a hunk must match the file "
            "exactly; if only line numbers are off, the hunk moves to the one place where it fits, reported as `offset`. "
            "With `dry_run` nothing is written. Fails with invalid_patch (not a diff; `line` says where), "
            "patch_does_not_apply (`details` names file, hunk, line, expected and found: read the file again and make a "
            "new diff), exists, not_found or outside_root."
        ),
        inputs={
            "type": "object",
            "properties": {
                "patch": {"type": "string", "minLength": 1, "maxLength": _PATCH_LIMIT},
                "dry_run": {"type": "boolean", "default": False},
            },
            "required": ["patch"],
            "additionalProperties": False,
        },
        outputs={
            "type": "object",
            "properties": {
                "files": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {
                            "path": {"type": "string"},
                            "action": {"enum": ["changed", "created", "deleted", "renamed"]},
                            "from": {"type": "string"},
                            "added": {"type": "integer"},
                            "removed": {"type": "integer"},
                            "hunks": {
                                "type": "array",
                                "items": {
                                    "type": "object",
                                    "properties": {"line": {"type": "integer"}, "offset": {"type": "integer"}},
                                },
                            },
                        },
                        "required": ["path", "action", "added", "removed", "hunks"],
                    },
                },
                "dry_run": {"type": "boolean"},
            },
            "required": ["files", "dry_run"],
        },
        permissions=Permissions(root="."),
        risk="medium",
        repeat_safe=False,
        mutates=True,
    )

    async def call(self, args: dict[str, Any], context: ToolContext) -> dict[str, Any]:
        return await asyncio.to_thread(_apply, context, str(args["patch"]), bool(args.get("dry_run", False)))


def _apply(context: ToolContext, text: str, dry_run: bool) -> dict[str, Any]:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Failure("the patch holds characters that UTF-8 cannot", code="invalid_patch") from None
    files = parse(text)
    touched = [path for file in files for path in dict.fromkeys((file.old, file.new)) if path is not None]
    if twice := sorted({path for path in touched if touched.count(path) > 1}):
        raise Failure(f"the patch names {', '.join(twice)} more than once", code="invalid_patch")
    with opened_root(context.root) as root:
        plan = _Plan(root)
        reports = [plan.add(file) for file in files]
        if plan.misfits:
            raise _misfit(plan.misfits)
        if not dry_run:
            plan.perform()
    return {"files": reports, "dry_run": dry_run}


class _Plan:
    """What the patch comes to: new contents and removals, found out before anything is written."""

    def __init__(self, root: int) -> None:
        self._root = root
        self._contents: dict[str, bytes] = {}
        self._executable: dict[str, bool | None] = {}
        self._removed: list[str] = []
        self._before: dict[str, bytes] = {}
        self.misfits: list[dict[str, Any]] = []

    def add(self, file: FilePatch) -> dict[str, Any]:
        """Work out one file; returns its report. Raises Failure for anything but a misfit."""
        text = self._old_text(file)
        try:
            changed, placed = apply(file.hunks, text)
        except HunkMisfit as misfit:
            self.misfits.append(
                {
                    "path": file.path,
                    "hunk": misfit.number,
                    "line": misfit.line,
                    "expected": misfit.expected,
                    "found": misfit.found,
                }
            )
            changed, placed = text, []
        if file.new is None:
            if changed and not self.misfits:
                self.misfits.append(
                    {
                        "path": file.path,
                        "hunk": len(file.hunks),
                        "line": 1,
                        "expected": "(nothing left)",
                        "found": changed[:80],
                    }
                )
        else:
            self._contents[file.new] = changed.encode()
            self._executable[file.new] = file.executable if file.executable is not None else self._was(file)
        if file.old is not None and file.old != file.new:
            self._removed.append(file.old)
        return _report(file, placed)

    def perform(self) -> None:
        """Write everything beside its place, then rename it all; on an error what was renamed is put back."""
        staged: list[tuple[str, Replacement]] = []
        committed: list[str] = []
        try:
            for path, data in self._contents.items():
                with file_errors(path):
                    staged.append((path, Replacement(self._root, path, data, executable=self._executable[path])))
            for path, replacement in staged:
                with file_errors(path):
                    replacement.commit()
                committed.append(path)
            for path in self._removed:
                with file_errors(path):
                    _remove(self._root, path)
                committed.append(path)
        except BaseException:
            for _, replacement in staged:
                replacement.discard()
            self._put_back(committed)
            raise

    def _put_back(self, paths: list[str]) -> None:
        for path in paths:
            if path in self._before:
                Replacement(self._root, path, self._before[path]).commit()
            else:
                _remove(self._root, path)

    def _old_text(self, file: FilePatch) -> str:
        if file.new is not None and file.new != file.old:
            self._must_be_missing(file.new)
        if file.old is None:
            return ""
        with file_errors(file.old):
            data = read_bytes(self._root, file.old)
        self._before[file.old] = data
        return decode(data, file.old)

    def _was(self, file: FilePatch) -> bool | None:
        """A renamed file stays executable or not; one that keeps its name keeps its mode anyway."""
        if file.old is None or file.old == file.new:
            return None
        with file_errors(file.old):
            fd = open_regular(self._root, file.old)
        try:
            return bool(os.fstat(fd).st_mode & 0o100)
        finally:
            os.close(fd)

    def _must_be_missing(self, path: str) -> None:
        with file_errors(path):
            try:
                read_bytes(self._root, path)
            except FileNotFoundError:
                return
        raise Failure(f"{path} exists already, and the patch creates it", code="exists", hint="make a diff against it")


def _remove(root: int, path: str) -> None:
    with parent_beneath(root, path) as (parent, name):
        os.unlink(name, dir_fd=parent)


def _report(file: FilePatch, placed: list[Placed]) -> dict[str, Any]:
    action = "changed"
    if file.old is None:
        action = "created"
    elif file.new is None:
        action = "deleted"
    elif file.old != file.new:
        action = "renamed"
    report: dict[str, Any] = {
        "path": file.path,
        "action": action,
        "added": sum(one.added for one in placed),
        "removed": sum(one.removed for one in placed),
        "hunks": [{"line": one.start, "offset": one.offset} for one in placed],
    }
    if action == "renamed":
        report["from"] = file.old
    return report


def _misfit(misfits: list[dict[str, Any]]) -> Failure:
    first = misfits[0]
    more = f" (and {len(misfits) - 1} more)" if len(misfits) > 1 else ""
    return Failure(
        f"{first['path']}: hunk {first['hunk']} does not fit at line {first['line']}: the patch has "
        f"{first['expected']!r}, the file {first['found']!r}{more}; nothing was changed",
        code="patch_does_not_apply",
        details=misfits,
    )
