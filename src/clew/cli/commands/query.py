"""``clew query``."""

from collections.abc import Callable
from typing import Any, TypeVar, get_args

import click
import msgspec
from rich.text import Text

from clew.cli import present
from clew.cli.command import command as declare
from clew.cli.failures import SUCCESS, printable
from clew.cli.remembering import filter_of, filter_options, here, meant, scope_option
from clew.cli.session import Session, pass_session
from clew.cli.terminal import Paper, plural
from clew.core.errors import UsageError
from clew.gate.ports.context import Fusion, Query, SearchConfig, Strategy
from clew.service.remembered import Embedded, SearchAnswer, SearchHit

F = TypeVar("F", bound=Callable[..., Any])
_DEFAULT = SearchConfig()
_NAMED = ("k", "fusion", "rrf_k", "dense_weight", "sparse_weight", "graph_weight", "rerank_factor", "deterministic")


def search_options(function: F) -> F:
    """Everything that a search can be told, and what is looked for: words in a row are one text. What is not said is as the project
    has it (``memory.search``), else as ``SearchConfig`` has it."""
    options = (
        click.argument("words", nargs=-1, metavar="[TEXT]..."),
        click.option("--k", type=int, help=f"Results (default {_DEFAULT.k})."),
        click.option("--mode", type=click.Choice(get_args(Strategy)), help="How the lists are made (default AUTO)."),
        click.option(
            "--fusion",
            type=click.Choice(get_args(Fusion)),
            help="How they become one (default: by rank; by sum where memory makes its own vectors).",
        ),
        click.option("--rrf-k", type=int, help=f"Constant of reciprocal rank fusion (default {_DEFAULT.rrf_k})."),
        click.option("--dense-weight", type=float, help="Say of meaning (default 0.5, or what was learned)."),
        click.option("--sparse-weight", type=float, help="Say of words (default 0.5, or what was learned)."),
        click.option("--graph-weight", type=float, help="Say of the graph (default 0)."),
        click.option("--rerank-factor", type=int, help=f"Candidates per result (default {_DEFAULT.rerank_factor})."),
        filter_options,
        click.option(
            "--deterministic", is_flag=True, default=None, help="Nothing may depend on what runs in the background."
        ),
        click.option("--explain", is_flag=True, help="Say which list found what, and how they were joined."),
    )
    for option in reversed(options):
        function = option(function)
    return function


@declare(
    "query",
    examples=[
        ("clew query 'how is a run resumed?' --k 3", "in the memory of the project that is here"),
        ("clew query pump --scope global --filter-kv lang=en --filter-kv 'year>=2020'", "only some of it"),
        ("clew query --text pump --mode SPARSE_FIRST --explain --json", "for a script"),
    ],
    shape=SearchAnswer,
)
@click.option("--text", help="What is looked for, as an option.")
@search_options
@scope_option
@pass_session
def command(session: Session, words: tuple[str, ...], text: str | None, **options: Any) -> int:
    """Search memory by meaning and by words."""
    if words and text is not None:
        raise UsageError(f"what is looked for: {words[0]!r:.60} or --text {text!r:.60}?", hint="give it once")
    return searched(session, " ".join(words) if text is None else text, options)


def searched(session: Session, text: str, options: dict[str, Any]) -> int:
    """Search as the options say, and print what was found."""
    if not text.strip():
        raise UsageError("what is looked for?", hint="clew query 'some words'")
    named = {"strategy": options["mode"]} | {name: options[name] for name in _NAMED}
    named = {name: value for name, value in named.items() if value is not None}
    with here(session, options) as scoped:
        answer = scoped.search(Query(text=text, filter=filter_of(options)), named)
        if scoped.embedded is not None and (scoped.embedded.why or options["explain"]):
            tell_vectors(session, scoped.embedded)
        if scoped.model and "not_compared" in answer.explain:
            embed = session.hint("context", "embed", *meant(options))
            session.say(printable(f"{answer.explain['not_compared']}; {embed} makes them anew"))
    if session.json:
        present.emit(session, answer)
    elif not answer.hits:
        session.say(_nothing(answer.explain))
    else:
        paper = Paper()
        for place, hit in enumerate(answer.hits, 1):
            paper.print(_line(place, hit, explain=options["explain"]))
    if options["explain"] and not session.json:
        session.say(msgspec.json.format(msgspec.json.encode(answer.explain), indent=1).decode())
    return SUCCESS


def tell_vectors(session: Session, made: Embedded | None) -> None:
    """What was asked of the project's embedding model, what it cost, and what is missing."""
    if made is None:
        return
    if made.why:
        session.say(f"by words alone: {printable(made.why)}")
    lacking = f", {plural(made.missing, 'document')} without" if made.missing else ""
    unpriced = f" and {plural(made.unpriced, 'request')} of unknown price" if made.unpriced else ""
    session.say(
        f"{made.model}: {plural(made.documents, 'vector')} made{lacking}; {made.tokens:,} tokens, ${made.cost}{unpriced}"
    )


def _nothing(explain: dict[str, Any]) -> str:
    """Was it the filter?"""
    if explain.get("allowed") != 0:
        return "nothing was found"
    unknown = ", ".join(printable(repr(path)) for path in explain.get("unknown_fields", []))
    return "nothing was found: the filter leaves no document" + (f", and none has {unknown}" if unknown else "")


def _line(place: int, hit: SearchHit, *, explain: bool) -> Text:
    told = Text(f"{place:>2}  ", style="dim")
    told.append(printable(hit.doc_id), style="bold")
    told.append(f"   {hit.fused_score:.4f}", style="dim")
    if explain:
        ranks = [f"{name} {getattr(hit, f'{name}_rank')}" for name in ("dense", "sparse", "graph")]
        told.append("   " + ", ".join(one for one in ranks if not one.endswith("None")), style="dim")
    text = printable(" ".join(hit.text.split()))
    told.append("\n    " + (text if len(text) <= 200 else text[:199] + "…"))
    return told
