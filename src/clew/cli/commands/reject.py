"""``clew reject``."""

from typing import Any

import click
import msgspec

from clew.cli import shapes
from clew.cli.answering import Answer, decide
from clew.cli.command import command as declare
from clew.cli.command import run_argument
from clew.cli.session import Session, pass_session


@declare(
    "reject",
    examples=[("clew reject r6a0f --why 'not today'", "the node fails with the code rejected")],
    shape=shapes.Outcome,
)
@run_argument
@click.option("--key", metavar="KEY", help="The question, where the run asks several.")
@click.option("--why", metavar="TEXT", default="", help="The reason, for the record and for the run.")
@click.option("--by", metavar="NAME", default="", help="Who decides (CLEW_USER).")
@click.option("--digest", metavar="HEX", default="", help="Only if this request is still the one that was shown.")
@click.option("--watch/--no-watch", default=None, help="Progress on stderr (default: unless it would be noise).")
@pass_session
def command(session: Session, run: str | None, **options: Any) -> int:
    """Refuse what a run asks; the run goes on.

    The node that asked fails with the code rejected; its failure edge applies.
    """
    answer = Answer(
        approve=False, run=run, key=options["key"], why=options["why"], by=options["by"],
        digest=options["digest"], content=lambda workspace, waiting: msgspec.UNSET,
    )  # fmt: skip
    return decide(session, answer, options["watch"])
