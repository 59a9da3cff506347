"""One reader per kind of file: bytes -> pieces."""

import csv
import html
import io
import itertools
import logging
import re
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import PurePosixPath
from typing import Any

from clew.context.ingest import pieces
from clew.context.ingest.pieces import Piece
from clew.core.errors import UsageError

LARGEST = 32 * 1024 * 1024
"""Bytes of a file that is read."""
_ROWS = 100_000
_PAGES = 5000

_BLOCKS = frozenset(
    ["p", "div", "section", "article", "li", "tr", "br", "pre", "blockquote", "table", "ul", "ol", "dd", "dt", "main"]
)
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_HIDDEN = frozenset(["script", "style", "noscript", "template", "svg", "head", "nav"])
_TAG = re.compile(
    r"<(?:!--.*?-->|(?!!--)[!?][^>]*+>|(?P<ends>/?)(?P<name>[a-zA-Z][^\s/>]*+)(?:[^\"'>]++|\"[^\"]*+\"|'[^']*+')*+>)",
    re.DOTALL,
)
_TAIL = re.compile(r"<[!?/a-zA-Z]")
"""What begins like a tag."""
_RAW = {name: re.compile(f"</{name}\\b", re.IGNORECASE) for name in ("script", "style")}
"""What is no markup up to its end."""


class Unreadable(UsageError):
    """A file that is no text of its kind; the others of its folder are read all the same."""

    code = "unreadable"


def kind_of(name: str) -> str:
    """``markdown | python | code | html | csv | pdf | text``, by the end of the name; empty: nothing that is read."""
    return _KINDS.get(PurePosixPath(name).suffix.lower(), "")


def read(name: str, data: bytes) -> list[Piece]:
    """The pieces of a file. Raises Unreadable, and UsageError where a library is missing."""
    kind = kind_of(name)
    if kind == "pdf":
        return list(_pdf(name, data))
    if b"\x00" in data[:8192]:
        raise Unreadable(f"{name} is no text")
    text = data.decode("utf-8-sig", errors="replace")
    if text.count("�") > max(10, len(text) // 50):
        raise Unreadable(f"{name} is no UTF-8 text")
    return list(_READERS[kind or "text"](text.replace("\r\n", "\n").replace("\r", "\n")))


def _html(text: str) -> Iterator[Piece]:
    """What a page says, with its headings as Markdown has them."""
    parts: list[str] = []
    hidden = 0
    for data, tag, ends in _tags(text):
        if not hidden:
            parts.append(re.sub(r"\s+", " ", _unescaped(data)))
        if tag in _HIDDEN:
            hidden = max(0, hidden - 1) if ends else hidden + 1
        elif tag in _HEADINGS:
            parts.append("\n\n" if ends else "\n\n" + "#" * _HEADINGS[tag] + " ")
        elif tag in _BLOCKS:
            parts.append("\n" if tag == "br" else "\n\n")
    told = re.sub(r"[ \t]*\n[ \t]*", "\n", "".join(parts))
    for piece in pieces.markdown(re.sub(r"\n{3,}", "\n\n", told).strip()):
        yield Piece(piece.text, piece.title)


def _tags(text: str) -> Iterator[tuple[str, str, bool]]:
    """``(what stands before it, its name, whether it ends something)`` of each tag; of the end, without a name.

    In time that is linear whatever the page is: where a tag, a comment or a script has no end, the page ends.
    """
    start = at = 0
    while (at := text.find("<", at)) >= 0:
        found = _TAG.match(text, at)
        if found is None:
            end = _TAIL.match(text, at)
            if end is None:
                at += 1  # "a < b"
                continue
            yield text[start:at], "", False
            return
        name = (found["name"] or "").lower()
        yield text[start:at], name, bool(found["ends"])
        start = at = found.end()
        if name in _RAW and not found["ends"]:
            closing = _RAW[name].search(text, at)
            if closing is None:
                return
            start = at = closing.start()
    yield text[start:], "", False


def _unescaped(data: str) -> str:
    try:
        return html.unescape(data)
    except ValueError:  # a number of thousands of digits
        return data


def _csv(text: str) -> Iterator[Piece]:
    try:
        dialect: Any = csv.Sniffer().sniff(text[:8192], delimiters=",;\t|")
    except csv.Error:
        dialect = csv.excel
    try:
        rows = csv.reader(io.StringIO(text), dialect)
        header: list[str] = next(rows, list[str]())
        yield from pieces.table(header, itertools.islice(rows, _ROWS))
    except csv.Error as error:
        raise Unreadable(f"no table: {error}") from error


def _pdf(name: str, data: bytes) -> Iterator[Piece]:
    try:
        pypdf = import_module("pypdf")
    except ModuleNotFoundError:
        raise UsageError("reading PDF needs pypdf", hint="install it with: pip install 'clew[pdf]'") from None
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # what is odd about a file is told once, or not worth telling
    try:
        pages = pypdf.PdfReader(io.BytesIO(data)).pages
        texts = [str(page.extract_text() or "") for page in itertools.islice(pages, _PAGES)]
    except Exception as error:  # hostile files make it raise anything
        raise Unreadable(f"{name} is no PDF that can be read: {error}") from error
    for number, text in enumerate(texts, 1):
        for piece in pieces.plain(text):
            yield Piece(piece.text, f"page {number}")


_READERS: dict[str, Callable[[str], Iterator[Piece]]] = {
    "markdown": pieces.markdown, "python": pieces.python, "code": pieces.plain, "text": pieces.plain, "html": _html, "csv": _csv,
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
