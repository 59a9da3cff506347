"""Unified diffs of changed files, as ``git apply`` and ``patch -p1`` read them."""

import difflib


def unified(path: str, before: bytes, after: bytes, context: int = 3) -> str:
    """The change of one file; paths are prefixed ``a/`` and ``b/``. Undecodable bytes are shown replaced."""
    old = before.decode("utf-8", "replace").splitlines(keepends=True)
    new = after.decode("utf-8", "replace").splitlines(keepends=True)
    parts: list[str] = []
    for line in difflib.unified_diff(old, new, f"a/{path}", f"b/{path}", n=context):
        parts.append(line if line.endswith("\n") else line + "\n\\ No newline at end of file\n")
    return "".join(parts)
