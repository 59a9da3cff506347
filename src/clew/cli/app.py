"""``clew`` itself: finds the command in the table, and is the boundary around it."""

import difflib
import signal
import sys
import warnings
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from clew._version import __version__
from clew.cli.command import SHARED
from clew.cli.failures import SUCCESS, guarded
from clew.cli.session import Session, prepare_streams, wants_json
from clew.cli.table import COMMANDS, load

EPILOG = """\b
Exit codes: 0 success, 1 the run failed, 2 wrong use or manifest,
            3 waiting for a human or paused, 4 interrupted.
"""


class Root(click.Group):
    """Commands come from the table; ``main`` ends the process with an exit code and never with a traceback."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return load(cmd_name) if cmd_name in COMMANDS else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], COMMANDS, 1)
            meant = f"; did you mean {near[0]!r}?" if near else ""
            raise click.UsageError(f"there is no command {args[0]!r}{meant}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for name, entry in COMMANDS.items():
            sections.setdefault(entry.section, []).append((name, entry.summary))
        for title, rows in sections.items():
            with formatter.section(title):
                formatter.write_dl(rows, col_max=12)

    def main(  # pyright: ignore[reportIncompatibleMethodOverride] - the one way in; its other arguments are click's own
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any
    ) -> NoReturn:
        prepare_streams()
        given = list(sys.argv[1:] if args is None else args)
        session = Session()

        def work() -> Any:
            try:
                return super(Root, self).main(given, prog_name or "clew", standalone_mode=False, obj=session)
            except SystemExit:  # click's own end where nobody reads the help that it prints
                session.hang_up()
                return SUCCESS

        code = guarded(work, as_json=wants_json(given), state=lambda: session.state)
        try:
            sys.stdout.flush()
        except (OSError, ValueError):
            session.hang_up()
        sys.exit(code)


@click.command(
    cls=Root,
    params=[option() for option in SHARED],
    no_args_is_help=True,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, "-V", "--version", prog_name="clew", message="%(prog)s %(version)s")
def clew() -> None:
    """Run agent workflows so that every step can be retraced, resumed, replayed and forked."""


def main() -> NoReturn:
    """The entry point. SIGTERM is Ctrl-C to every command; those that drive runs put them down in order."""
    signal.signal(signal.SIGTERM, _terminate)
    if not sys.warnoptions:  # what these libraries say of a provider's odd answers is for their developers
        warnings.filterwarnings("ignore", module=r"(pydantic_ai|genai_prices)\b")
    clew.main()


def _terminate(signum: int, frame: Any) -> NoReturn:
    raise KeyboardInterrupt
