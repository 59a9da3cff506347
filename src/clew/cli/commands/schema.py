"""``clew schema``."""

from pathlib import Path
from typing import Any

import click

from clew.cli import present
from clew.cli.command import command as declare
from clew.cli.session import Session, pass_session
from clew.core import envelopes
from clew.core.errors import UsageError
from clew.manifest.models.project import SECTIONS
from clew.manifest.schema import WHOLE, all_schemas, section_schema


@declare(
    "schema",
    examples=[
        ("clew schema > clew.schema.json", "of a whole clew.yaml"),
        ("clew schema workflow", "of one section"),
        ("clew schema AgentTask", "of an envelope of `clew task run`"),
        ("clew schema --out schemas", "all of them, for an editor"),
    ],
    shape="the JSON Schema itself (draft 2020-12); with --out `{directory, files}`",
)
@click.argument("section", default=WHOLE)
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Write every schema into this directory.")
@pass_session
def command(session: Session, section: str, out: Path | None) -> int:
    """Print the JSON Schema of a manifest, for editors.

    SECTION is workflow, agents, tools …; without it the schema of a whole clew.yaml. AgentTask, AgentResult and AgentError are
    the envelopes of clew task run.
    """
    envelope = envelopes.schemas()
    if out is None:
        known = (WHOLE, *SECTIONS, *envelope)
        if section not in known:
            raise UsageError(f"there is no section {section!r}; there are {', '.join(known)}")
        present.emit(session, envelope[section] if section in envelope else section_schema(section))
        return 0
    files: list[str] = []
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, schema in (all_schemas() | envelope).items():
            files.append(_write(out / f"{name}.json", schema))
    except OSError as error:
        raise UsageError(f"cannot write {out}: {error.strerror}") from error
    if session.json:
        present.emit(session, {"directory": str(out), "files": files})
    else:
        session.say(f"{len(files)} schemas written to {out}")
    return 0


def _write(path: Path, schema: dict[str, Any]) -> str:
    path.write_text(present.document_text(schema), encoding="utf-8")
    return str(path)
