"""One reader per kind of file: bytes -> pieces."""

import csv
import io
import itertools
import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
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


class _Text(HTMLParser):
    """What a page says, with its headings as Markdown has them."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.hidden += tag in _HIDDEN
        if tag in _HEADINGS:
            self.parts.append("\n\n" + "#" * _HEADINGS[tag] + " ")
        elif tag in _BLOCKS:
            self.parts.append("\n\n" if tag != "br" else "\n")

    def handle_endtag(self, tag: str) -> None:
        self.hidden = max(0, self.hidden - (tag in _HIDDEN))
        if tag in _HEADINGS or tag in _BLOCKS:
            self.parts.append("\n\n")

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.parts.append(re.sub(r"\s+", " ", data))


def _html(text: str) -> Iterator[Piece]:
    parser = _Text()
    parser.feed(text)
    parser.close()
    told = re.sub(r"[ \t]*\n[ \t]*", "\n", "".join(parser.parts))
    for piece in pieces.markdown(re.sub(r"\n{3,}", "\n\n", told).strip()):
        yield Piece(piece.text, piece.title)


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
