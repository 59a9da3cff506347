"""One reader per kind of file: bytes -> pieces, and what was left out of them."""

import csv
import html
import io
import itertools
import logging
import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import PurePosixPath
from typing import Any

import msgspec

from clew.context.ingest import pieces
from clew.context.ingest.pieces import Piece
from clew.core.errors import UsageError

LARGEST = 32 * 1024 * 1024
"""Bytes of a file that is read."""
_MOST_TOLD = 4 * LARGEST
"""Characters of a table, with the names of its columns at every value."""
_PAGES = 5000

_BLOCK_NAMES = (
    "address article aside blockquote body br caption center dd details dialog div dl dt fieldset figcaption figure footer form "
    "h1 h2 h3 h4 h5 h6 head header hgroup hr html legend li main menu nav ol optgroup option p pre search section summary table "
    "tbody tfoot thead title tr ul"
)
_BLOCKS = frozenset(_BLOCK_NAMES.split())
_CELLS = frozenset(["td", "th"])
_HEADINGS = {f"h{level}": "#" * level + " " for level in range(1, 7)}
_HIDDEN = frozenset(["script", "style", "noscript", "template", "svg", "title", "nav"])
_STEPS = {"opens": 1, "ends": -1, "both": 0}
_TAG = re.compile(
    r"<(?:!--(?:-?>|.*?--!?>)|(?P<ends>/?)(?P<name>[a-zA-Z][^\s/>]*+)"
    r"(?:=\s*+(?:\"[^\"]*+\"|'[^']*+'|[^\s\"'>][^\s>]*+)?+|[^=>]++)*+>|(?!!--|/[a-zA-Z])[!?/][^>]*+>)",
    re.DOTALL,
)
"""A quote is one where it follows a ``=``."""
_LOOSE = re.compile(r"<(?:(?P<ends>/?)(?P<name>[a-zA-Z][^\s/>]*+)|[!?/])[^>]*+>")
"""A tag, up to the next ``>`` whatever stands before that."""
_TAIL = re.compile(r"<[!?/a-zA-Z]")
"""What begins like a tag."""
_RAW = {name: re.compile(f"</{name}\\b", re.IGNORECASE) for name in ("script", "style")}
"""What is no markup up to its end."""


class Unreadable(UsageError):
    """A file that is no text of its kind; the others of its folder are read all the same."""

    code = "unreadable"


class Reading(msgspec.Struct, frozen=True):
    """``left``: what was left out, empty for nothing; ``text``: of which the lines of pieces are counted, empty for none."""

    pieces: list[Piece]
    left: str = ""
    text: str = ""


def kind_of(name: str) -> str:
    """``markdown | python | code | html | csv | pdf | text``, by the end of the name; empty: nothing that is read."""
    return _KINDS.get(PurePosixPath(name).suffix.lower(), "")


def read(name: str, data: bytes) -> Reading:
    """What is in a file. Raises Unreadable, also where a library is missing."""
    kind = kind_of(name)
    if kind == "pdf":
        return _pdf(name, data)
    text = _decoded(name, data).replace("\r\n", "\n").replace("\r", "\n")
    if kind == "csv":
        return _csv(text)
    return Reading(list(_READERS[kind or "text"](text)), text=text)


def _decoded(name: str, data: bytes) -> str:
    wide = data[:2] in (BOM_UTF16_LE, BOM_UTF16_BE)
    if b"\0" in data[:8192] and not wide:
        raise Unreadable(f"{name} is no text")
    try:
        text = data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        why = f"{name} is no {'UTF-16' if wide else 'UTF-8'} text (byte {error.start})"
        raise Unreadable(why if wide else f"{why}: convert it to UTF-8") from None
    if "\0" in text[:8192]:
        raise Unreadable(f"{name} is no text")
    return text


def _html(text: str) -> Iterator[Piece]:
    """What a page says, with its headings as Markdown has them."""
    parts: list[str] = []
    mark = ""
    for data, name, sort in _shown(text):
        said = re.sub(r"\s+", " ", _unescaped(data))
        if said.strip():
            parts.append(mark)
            mark = ""
        parts.append(said)
        if name in _HEADINGS:
            mark = _HEADINGS[name] if sort == "opens" else ""
        if name in _BLOCKS:
            parts.append("\n" if name == "br" else "\n\n")
        elif name in _CELLS:
            parts.append(" ")
    told = re.sub(r" *\n *", "\n", re.sub(r" {2,}", " ", "".join(parts)))
    for piece in pieces.markdown(re.sub(r"\n{3,}", "\n\n", told).strip()):
        yield Piece(piece.text, piece.title)


def _shown(text: str) -> Iterator[tuple[str, str, str]]:
    """As ``_tags``, without what is hidden."""
    outer, depth = "", 0
    for data, name, sort in _tags(text):
        if outer == "title":  # has no markup in it: any tag ends it
            outer, data = "", ""
        if not outer:
            yield data, name, sort
            outer, depth = (name, 1) if name in _HIDDEN and sort == "opens" else ("", 0)
        elif name == outer:
            depth += _STEPS[sort]
            outer = outer if depth else ""


def _tags(text: str) -> Iterator[tuple[str, str, str]]:
    """``(what stands before it, its name, opens | ends | both)`` of each tag; of the end, without a name.

    In time that is linear whatever the page is: from where a tag or a comment has no end, tags are read up to the next ``>``,
    and after the last of those all is text. A script without an end goes on to the end.
    """
    start = at = 0
    pattern = _TAG
    while (at := text.find("<", at)) >= 0:
        found = pattern.match(text, at)
        if found is None and not _TAIL.match(text, at):
            at += 1  # "a < b"
            continue
        if found is None and pattern is _LOOSE:
            break
        if found is None:
            pattern = _LOOSE
            continue
        name = (found["name"] or "").lower()
        sort = "ends" if found["ends"] else "both" if text.endswith("/>", at, found.end()) else "opens"
        yield text[start:at], name, sort
        start = at = found.end()
        if name in _RAW and sort == "opens":
            closing = _RAW[name].search(text, at)
            if closing is None:
                return
            start = at = closing.start()
    yield text[start:], "", ""


def _unescaped(data: str) -> str:
    try:
        return html.unescape(data)
    except ValueError:  # a number of thousands of digits
        return data


def _csv(text: str) -> Reading:
    try:
        dialect: Any = csv.Sniffer().sniff(text[:8192], delimiters=",;\t|")
    except csv.Error:
        dialect = csv.excel
    found: list[Piece] = []
    size = 0
    try:
        rows = csv.reader(io.StringIO(text), dialect)
        for piece in pieces.table(next(rows, list[str]()), rows):
            size += len(piece.text)
            if size > _MOST_TOLD:
                return Reading(found, f"read up to row {piece.line - 1:,}: {_MOST_TOLD:,} characters; split it")
            found.append(piece)
    except csv.Error as error:
        raise Unreadable(f"no table: {error}") from error
    return Reading(found)


def _pdf(name: str, data: bytes) -> Reading:
    try:
        pypdf = import_module("pypdf")
    except ModuleNotFoundError:
        raise Unreadable("reading PDF needs pypdf: pip install 'clew[pdf]'") from None
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # what is odd about a file is told once, or not worth telling
    try:
        pages = pypdf.PdfReader(io.BytesIO(data)).pages
        texts = [str(page.extract_text() or "") for page in itertools.islice(pages, _PAGES)]
        left = f"read up to page {_PAGES:,} of {len(pages):,}; split it" if len(pages) > _PAGES else ""
    except Exception as error:  # hostile files make it raise anything
        raise Unreadable(f"{name} is no PDF that can be read: {error}") from error
    whole = (text.encode(errors="replace").decode() for text in texts)  # half a character cannot be kept
    return Reading(
        [Piece(one.text, f"page {n}") for n, text in enumerate(whole, 1) for one in pieces.plain(text)], left
    )


_READERS: dict[str, Callable[[str], Iterator[Piece]]] = {
    "markdown": pieces.markdown, "python": pieces.python, "code": pieces.plain, "text": pieces.plain, "html": _html,
}  # fmt: skip

_SUFFIXES = {
    "markdown": ".md .markdown .mdx",
    "python": ".py .pyi",
    "code": (
        ".js .jsx .ts .tsx .mjs .go .rs .java .kt .c .h .cc .cpp .hpp .cs .rb .php .swift .scala .sh .sql .toml .yaml .yml .ini "
        ".json .xml .css .proto .tf"
    ),
    "html": ".html .htm",
    "csv": ".csv .tsv",
    "pdf": ".pdf",
    "text": ".txt .rst .adoc .log .tex .org",
}
_KINDS = {suffix: kind for kind, suffixes in _SUFFIXES.items() for suffix in suffixes.split()}
