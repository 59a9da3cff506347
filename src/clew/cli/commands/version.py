"""``clew version``."""

import platform
import sqlite3

from clew._version import __version__
from clew.cli import present, shapes
from clew.cli.command import command as declare
from clew.cli.session import Session, pass_session
from clew.core.events import CORE_VERSION


@declare("version", examples=[("clew version --json", "for a bug report")], shape=shapes.VersionDoc)
@pass_session
def command(session: Session) -> int:
    """Print versions."""
    document = shapes.VersionDoc(
        clew=__version__,
        core=CORE_VERSION,
        python=platform.python_version(),
        sqlite=sqlite3.sqlite_version,
        platform=platform.platform(),
    )
    if session.json:
        present.emit(session, document)
    else:
        session.write(f"clew {document.clew} (core {document.core})\n")
        session.write(f"Python {document.python}, SQLite {document.sqlite}, {document.platform}\n")
    return 0
