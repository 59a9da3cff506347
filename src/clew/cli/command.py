"""The class of all commands: shared options, and help that carries examples and the shape of ``--json``."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from clew.cli.session import Session

F = TypeVar("F", bound=Callable[..., Any])


def remember(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
    """Keep a shared option in the session; it may stand before or after the command's name."""
    session = ctx.ensure_object(Session)
    if value not in (None, False) and param.name:
        setattr(session, param.name, value)
    return value


def _json() -> click.Option:
    text = "Answer with one JSON document on stdout."
    return click.Option(["--json"], is_flag=True, expose_value=False, callback=remember, help=text)


def _state() -> click.Option:
    text = "State directory (CLEW_STATE, else .clew)."
    return click.Option(["--state"], metavar="DIR", expose_value=False, callback=remember, help=text)


def _quiet() -> click.Option:
    text = "No progress and no advice on stderr."
    return click.Option(["-q", "--quiet"], is_flag=True, expose_value=False, callback=remember, help=text)


SHARED: tuple[Callable[[], click.Option], ...] = (_json, _state, _quiet)


class Command(click.Command):
    """``examples``: command lines with a word on each; ``shape``: the type of the document that ``--json`` gives."""

    def __init__(
        self,
        *args: Any,
        examples: Sequence[tuple[str, str]] = (),
        shape: Any = None,
        lines: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.examples = tuple(examples)
        self.shape = shape
        self.lines = lines
        """The answer is one JSON document per line, since it has no end of its own."""
        self.params += [option() for option in SHARED]

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        if self.examples:
            with formatter.section("Examples"):
                for line, what in self.examples:
                    formatter.write_text(f"# {what}")
                    formatter.write(f"{'':>{formatter.current_indent}}{line}\n")
        super().format_epilog(ctx, formatter)


class CommandGroup(Command, click.Group):
    """A command that has commands of its own."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        click.Group.format_options(self, ctx, formatter)


def command(
    name: str, *, examples: Sequence[tuple[str, str]], shape: Any, lines: bool = False
) -> Callable[[Callable[..., Any]], Command]:
    """Declare a command: ``click.command`` with what every command of Clew must say about itself."""
    return click.command(name, cls=Command, examples=examples, shape=shape, lines=lines, context_settings=_HELP)


def group(
    name: str, *, examples: Sequence[tuple[str, str]], shape: Any, subcommands: str
) -> Callable[[Callable[..., Any]], CommandGroup]:
    """Declare a command that also does something without naming one of its own."""
    return click.command(
        name, cls=CommandGroup, examples=examples, shape=shape, invoke_without_command=True,
        subcommand_metavar=subcommands, context_settings=_HELP,
    )  # fmt: skip


_HELP: dict[str, Any] = {"help_option_names": ["-h", "--help"]}

run_argument = click.argument("run", required=False, metavar="[RUN]")
"""A run id or a unique beginning of one; the newest run without it."""
