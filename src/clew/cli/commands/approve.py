"""``clew approve``."""

from typing import Any, cast

import click
import msgspec

from clew.cli import present, shapes
from clew.cli.answering import Answer, decide
from clew.cli.command import command as declare
from clew.cli.command import run_argument
from clew.cli.inputs import parse
from clew.cli.session import Session, pass_session
from clew.core.errors import UsageError
from clew.service.runs import Waiting
from clew.service.wiring import Workspace


@declare(
    "approve",
    examples=[
        ("clew approve r6a0f", "agree to the one thing it asks"),
        ("clew approve r6a0f --value 7", "answer a question"),
        ("clew approve r6a0f --edit --why 'smaller batch'", "change the arguments in $EDITOR first"),
    ],
    shape=shapes.Outcome,
)
@run_argument
@click.option("--key", metavar="KEY", help="The question, where the run asks several.")
@click.option("--value", metavar="JSON", help="The answer, or the arguments to use instead.")
@click.option("--edit", is_flag=True, help="Edit the answer or the arguments in $EDITOR.")
@click.option("--why", metavar="TEXT", default="", help="The reason, for the record.")
@click.option("--by", metavar="NAME", default="", help="Who decides (CLEW_USER).")
@click.option("--digest", metavar="HEX", default="", help="Only if this request is still the one that was shown.")
@click.option("--watch/--no-watch", default=None, help="Progress on stderr (default: unless it would be noise).")
@pass_session
def command(session: Session, run: str | None, value: str | None, edit: bool, **options: Any) -> int:
    """Agree to what a run asks, or answer its question; the run goes on.

    The run goes on in this process, unless another one drives it: that one is told. Edited arguments are validated again.
    """
    if value is not None and edit:
        raise UsageError("--value and --edit exclude each other")
    given = msgspec.UNSET if value is None else parse(value, "--value")

    def content(workspace: Workspace, waiting: Waiting) -> Any:
        return _edited(workspace, waiting) if edit else given

    answer = Answer(
        approve=True, run=run, key=options["key"], why=options["why"], by=options["by"],
        digest=options["digest"], content=content,
    )  # fmt: skip
    return decide(session, answer, options["watch"])


def _edited(workspace: Workspace, waiting: Waiting) -> Any:
    """The arguments, or a first answer, after an editor; what was masked and left alone is what it was."""
    request = present.request_of(waiting)
    if waiting.name != "ask" and not request.get("editable"):
        raise UsageError(f"the arguments of {waiting.key} may not be edited")
    original = request.get("default") if waiting.name == "ask" else request.get("args")
    masked = workspace.redactor.value(original)
    before = msgspec.json.format(msgspec.json.encode(masked), indent=2).decode() + "\n"
    after = click.edit(before, extension=".json", require_save=False)
    if after is None or not after.strip():
        raise UsageError("the editor gave nothing back: nothing was decided")
    value = _unmasked(parse(after, "what the editor gave back"), masked, original)
    if waiting.name != "ask" and value == original:
        return msgspec.UNSET
    return value


def _unmasked(edited: Any, masked: Any, original: Any) -> Any:
    """Places that were shown masked and were not changed get back what they held."""
    if edited == masked:
        return original
    if isinstance(edited, dict) and isinstance(masked, dict) and isinstance(original, dict):
        shown, kept = cast("dict[str, Any]", masked), cast("dict[str, Any]", original)
        changed = cast("dict[str, Any]", edited)
        return {k: _unmasked(v, shown[k], kept[k]) if k in shown and k in kept else v for k, v in changed.items()}
    if isinstance(edited, list) and isinstance(masked, list) and isinstance(original, list):
        places = list(zip(cast("list[Any]", masked), cast("list[Any]", original), strict=True))
        items = cast("list[Any]", edited)
        return [_unmasked(v, *places[i]) if i < len(places) else v for i, v in enumerate(items)]
    return cast("Any", edited)
