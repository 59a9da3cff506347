"""Projects written from a dict or a text, for tests."""

import json
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any


def write_project(directory: Path, manifest: Mapping[str, Any] | str, handlers: str = "", **files: str) -> Path:
    """Write ``clew.yaml``, ``handlers.py`` and further modules (``name="source"`` becomes ``name.py``) into ``directory``.

    ``manifest`` is YAML text, or a dict of sections. Texts are dedented. Returns the directory.
    """
    directory.mkdir(parents=True, exist_ok=True)
    text = dedent(manifest) if isinstance(manifest, str) else json.dumps(manifest, indent=1)
    (directory / "clew.yaml").write_text(text, encoding="utf-8")
    for name, source in {"handlers": handlers, **files}.items():
        (directory / f"{name}.py").write_text(dedent(source), encoding="utf-8")
    return directory


def one_node(workflow: str, handler: str, **fields: Any) -> str:
    """The manifest of a workflow whose one node, ``work``, between its start and its exit, has this handler and these fields."""
    given = "".join(f", {name}: {json.dumps(value)}" for name, value in {"handler": handler, **fields}.items())
    return f"""\
workflow:
  id: {workflow}
  nodes:
    - {{id: start, kind: deterministic, role: start}}
    - {{id: work, kind: deterministic, role: linear{given}}}
    - {{id: done, kind: deterministic, role: exit}}
  edges:
    - {{from: start, to: work}}
    - {{from: work, to: done}}
"""
