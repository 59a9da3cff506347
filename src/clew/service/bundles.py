"""Export a run to one file, and take one in (R5)."""

from pathlib import Path

from clew.core.errors import Conflict, UsageError
from clew.core.states import ENDED
from clew.gate.ports.journal import Bundle
from clew.service.runs import IMPORTED, note
from clew.service.wiring import Workspace
from clew.stores.bundle_file import read_bundle, write_bundle

SUFFIX = ".clew.gz"


async def export_run(
    workspace: Workspace, run: str, path: Path, *, redacted: bool = False, overwrite: bool = False
) -> Bundle:
    """Write the run, with its plan, to ``path``.

    ``redacted`` leaves every payload out: the file can be verified and read, not replayed or resumed. Raises NotFound, Conflict
    where there is a file and ``overwrite`` is off, UsageError where it cannot be written.
    """
    _check_free(path, overwrite)
    bundle = await workspace.journal.dump(run, redacted=redacted)
    write_bundle(bundle, path)
    return bundle


async def import_run(workspace: Workspace, path: Path) -> Bundle:
    """Take in the run of a file, after its chain was verified.

    Raises NotFound, UsageError for what is no bundle, Tampered where it does not hold, Conflict where the run is here already.
    """
    bundle = read_bundle(path)
    await workspace.journal.load(bundle)
    if (await workspace.journal.row(bundle.run)).state not in ENDED:
        await note(workspace, bundle.run, IMPORTED, workspace.settings.user)
    return bundle


def _check_free(path: Path, overwrite: bool) -> None:
    if path.is_dir():
        raise UsageError(f"{path} is a directory", hint="name a file")
    if path.exists() and not overwrite:
        raise Conflict(f"there is a file {path} already", hint="choose another name, or overwrite it with --force")
