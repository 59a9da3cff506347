"""New projects: small, complete and running."""

from pathlib import Path

from clew.core.errors import Conflict, NotFound, UsageError

_WORKFLOW = """\
id: {name}
nodes:
  - {{id: start, kind: deterministic, role: start, schema_in: Order}}
  - {{id: price, kind: deterministic, role: linear, handler: "handlers:price", schema_out: Invoice, timeout: 10s}}
  - {{id: done, kind: deterministic, role: exit}}
edges:
  - {{from: start, to: price}}
  - {{from: price, to: done}}
"""

_HANDLERS = '''\
"""Handlers: called with the node's input and a context; what they return is the node's output."""

from typing import Any


async def price(input: dict[str, Any], ctx: Any) -> dict[str, Any]:
    """Adds up an order. Time, chance, tools and models would come from ``ctx``, so that a run can be replayed."""
    lines = [{**item, "total_cents": item["count"] * item["unit_cents"]} for item in input["items"]]
    return {"lines": lines, "total_cents": sum(line["total_cents"] for line in lines)}
'''

_ORDER = """\
{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "required": ["items"],
  "properties": {
    "items": {
      "type": "array",
      "items": {
        "type": "object",
        "required": ["name", "count", "unit_cents"],
        "properties": {
          "name": {"type": "string"},
          "count": {"type": "integer", "minimum": 1},
          "unit_cents": {"type": "integer", "minimum": 0}
        }
      }
    }
  }
}
"""

_INVOICE = """\
{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "required": ["lines", "total_cents"],
  "properties": {
    "lines": {"type": "array"},
    "total_cents": {"type": "integer", "minimum": 0}
  }
}
"""

_INPUT = """\
{"items": [{"name": "thread", "count": 3, "unit_cents": 120}, {"name": "needle", "count": 1, "unit_cents": 45}]}
"""

_TEST = """\
import asyncio

from handlers import price


def test_an_order_is_added_up() -> None:
    order = {"items": [{"name": "thread", "count": 3, "unit_cents": 120}]}
    assert asyncio.run(price(order, ctx=None))["total_cents"] == 360
"""

_CONFTEST = """\
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
"""

_IGNORE = ".clew/\n__pycache__/\n"

_README = """\
# {name}

    clew check .
    clew graph .
    clew run . --input input.json
    python -m pytest tests
"""

_BASIC = {
    "workflow.yaml": _WORKFLOW,
    "handlers.py": _HANDLERS,
    "schemas/Order.json": _ORDER,
    "schemas/Invoice.json": _INVOICE,
    "input.json": _INPUT,
    "tests/conftest.py": _CONFTEST,
    "tests/test_handlers.py": _TEST,
    ".gitignore": _IGNORE,
    "README.md": _README,
}

TEMPLATES: dict[str, dict[str, str]] = {"basic": _BASIC}

_FILLED = ("workflow.yaml", "README.md")


def new_project(path: str | Path, template: str = "basic") -> list[Path]:
    """Writes a project and returns its files. Raises NotFound for an unknown template, Conflict where a file exists.

    Nothing is written unless everything can be.
    """
    files = TEMPLATES.get(template)
    if files is None:
        raise NotFound(f"there is no template {template!r}", hint=f"templates: {', '.join(TEMPLATES)}")
    root = Path(path)
    if root.exists() and not root.is_dir():
        raise Conflict(f"{root} is not a directory")
    present = [name for name in files if (root / name).exists() or (root / name).is_symlink()]
    if present:
        raise Conflict(f"{root} already has {', '.join(present)}", hint="choose an empty directory")
    name = _name(root)
    try:
        for relative, content in files.items():
            target = root / relative
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("x", encoding="utf-8") as file:
                file.write(content.format(name=name) if relative in _FILLED else content)
    except OSError as error:
        raise UsageError(f"{root} cannot be written: {error.strerror or error}") from error
    return [root / relative for relative in files]


def _name(root: Path) -> str:
    """The directory's name as a workflow id."""
    letters = (
        letter if letter.isascii() and (letter.isalnum() or letter in "_-") else "-" for letter in root.resolve().name
    )
    return "".join(letters).strip("-")[:64] or "project"
