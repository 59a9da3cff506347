"""Writes what is generated from the models: ``schema/*.json`` and the reference. ``python -m clew.manifest.generate``."""

import json
from pathlib import Path

from clew.manifest.reference import markdown
from clew.manifest.schema import all_schemas

PACKAGE = Path(__file__).parent
REFERENCE = PACKAGE.parents[2] / "docs" / "reference" / "manifest.md"


def generated() -> dict[Path, str]:
    """Every generated file and its content."""
    files = {
        PACKAGE / "schema" / f"{name}.json": json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
        for name, schema in all_schemas().items()
    }
    files[REFERENCE] = markdown()
    return files


def main() -> None:
    for file, content in generated().items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
