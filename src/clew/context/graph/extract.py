"""Relations that a text states, by rules: code symbols and imports, links, names and a few plain verbs between them.

What is read off a syntax tree or a link is certain; what is read off prose is a guess, and says so by its confidence. An agent
can do better (``memory.extraction``); these rules cost nothing and give the same for the same text.
"""

import ast
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePosixPath
from unicodedata import normalize

from clew.gate.ports.context import Relation

MOST = 300
"""Relations of one document."""
_LONGEST = 200_000
"""Characters of a text that are looked at."""
_MOST_PARSED = 2_000_000
"""Characters of Python: a syntax tree takes up to a thousand times the room of its text."""
_NAME_LIMIT = 120

_LINK = re.compile(r"\[[^\]\n]{1,200}\]\(\s*<?([^)\s>]{1,500})>?(?:\s+\"[^\"\n]*\")?\s*\)|\[\[([^\]\n|#]{1,200})")
_URL = re.compile(r"(?<![(<\"'\w])https?://[^\s<>\"')\]]{4,400}")
_IMPORTS = (
    re.compile(
        r"""^[ \t]*import\s+(?:[\w*{}\s,$]{1,500}\sfrom\s+)?["']([^"'\n]{1,200})["']""", re.MULTILINE
    ),  # JavaScript
    re.compile(r"""\brequire\(\s*["']([^"'\n]{1,200})["']\s*\)"""),
    re.compile(r"^[ \t]*(?:use|import)[ \t]+([\w.:]{2,200}(?:\.\*)?)[ \t]*;", re.MULTILINE),  # Rust, Java
    re.compile(r'^[ \t]*#[ \t]*include[ \t]*[<"]([^>"\n]{1,200})[>"]', re.MULTILINE),
)
_SYMBOLS = re.compile(
    r"^[ \t]*(?:export[ \t]+)?(?:default[ \t]+)?(?:pub(?:\([^)\n]{1,40}\))?[ \t]+)?(?:(?:public|static|async|abstract)[ \t]+){0,4}"
    r"(?:function|class|interface|struct|enum|trait|fn|func|type)[ \t]+(?:\([^)\n]{1,100}\)[ \t]*)?([A-Za-z_$][\w$]{0,120})",
    re.MULTILINE,
)
_SUFFIXES = ".js .jsx .ts .tsx .mjs .go .rs .java .kt .c .h .cc .cpp .hpp .cs .rb .php .swift .scala"
_CODE = frozenset(_SUFFIXES.split())
_PYTHON = frozenset([".py", ".pyi"])

_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n\s*\n|\n(?=[-*#>|])|[;:]\s")
_TOKENS = 80
"""Words of a sentence that are looked at."""
_PROPER = re.compile(r"[\w\u0300-\u036f'’-]*")
"""A name that begins with a capital; accents may stand by themselves."""
_MIXED = re.compile(r"\w+")
_JOINED = re.compile(r"[^\W_]+(?:[-_.][^\W_]+)+|\d+")
_PUNCTUATION = '.,!?)"'
_NAME_WORDS = 5
_WITHIN = frozenset(["of", "de", "van"])
_SKIPPED = frozenset(["also", "now", "currently", "the", "a", "an"])
_VERBS = frozenset(
    tuple(verb.split())
    for verb in (
        "works at", "works for", "works in", "works on", "reports to", "leads", "led", "owns", "owned", "uses", "depends on",
        "requires", "runs on", "calls", "connects to", "reads from", "writes to", "sends to", "is based on", "is based in",
        "is located in", "is in", "lies in", "was born in", "is part of", "belongs to", "is owned by", "is led by",
        "is managed by", "manages", "was written by", "was created by", "was founded by", "was built by", "is maintained by",
        "maintains", "wrote", "created", "founded", "built", "acquired", "replaced", "replaces", "was replaced by", "succeeded",
        "married", "stores", "hosts", "is hosted on", "is hosted by", "is stored in", "is deployed on", "is deployed to",
        "is deployed in", "is a", "is an", "is the", "was a", "was the",
    )
)  # fmt: skip
_VERB_WORDS = max(len(verb) for verb in _VERBS)
_BY = re.compile(r"^(?:is|was) (led|owned|managed|written|created|founded|built|maintained|replaced|hosted) by$")
_ACTIVE = {
    "led": "leads", "owned": "owns", "managed": "manages", "written": "wrote", "created": "created", "founded": "founded",
    "built": "built", "maintained": "maintains", "replaced": "replaced", "hosted": "hosts",
}  # fmt: skip
_SMALL = (
    "The A An This That These Those It Its He She They We I You His Her Their Our My Your If When While But And Or In On At For "
    "To Of As By With From Is Are Was Were Not No So Then There Here After Before Since Until During Because Although Though "
    "Where Who What Why How Which Once Only Also Even Each Every All Some Any Many Most Several Both Either Neither Our One Two "
    "Three Please See Note Yes Nobody Everybody Whoever Without Within Over Under Between Let Do Did Does Has Have Had Will Can"
)
_NO_NAMES = frozenset(_SMALL.split())
_DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday"
_MONTHS = "January February March April May June July August September October November December"
_TIMES = frozenset([name + end for name in f"{_DAYS} {_MONTHS}".split() for end in ("", "s")])
_ID_WORD = re.compile(r"[^\W_]{3,}")
_QUOTED = re.compile(r"`([^`\n]{2,80})`")


def extract(document: str, text: str, path: str = "") -> tuple[Relation, ...]:
    """What ``text`` states, ``document`` being its id and ``path`` its file, where there is one. No relation twice."""
    text = text[:_LONGEST]
    suffix = PurePosixPath(path or document).suffix.lower()
    placed = _python(document, text) if suffix in _PYTHON else None
    if placed is not None:
        found: Iterable[Relation] = (one for _, one in placed)
    elif suffix in _PYTHON or suffix in _CODE:
        found = _other_code(document, text)
    else:
        found = _prose(document, text)
    return _kept((*found, *_links(document, text)))


def extract_pieces(path: str, text: str, pieces: Sequence[tuple[int, str]]) -> list[tuple[Relation, ...]]:
    """What each piece of a file states, ``pieces`` being ``(its first line, its text)`` in order.

    Python is read as a whole, since a method by itself does not parse; what stands on a line is stated by the piece that has it.
    """
    placed = _python(path, text) if PurePosixPath(path).suffix.lower() in _PYTHON and pieces else None
    if placed is None:
        return [extract(path, piece, path) for _, piece in pieces]
    lines = [line for line, _ in pieces]
    held: list[list[Relation]] = [[] for _ in pieces]
    for line, one in placed:
        held[max(0, bisect_right(lines, line) - 1)].append(one)
    return [_kept((*found, *_links(path, piece))) for found, (_, piece) in zip(held, pieces, strict=True)]


def _kept(found: Iterable[Relation]) -> tuple[Relation, ...]:
    seen: dict[tuple[str, str, str], Relation] = {}
    for one in found:
        names = (one.subject.strip(), one.relation, one.object.strip())
        if all(names) and names[0] != names[2] and max(map(len, names)) <= _NAME_LIMIT:
            seen.setdefault(names, one)
        if len(seen) == MOST:
            break
    return tuple(seen.values())


def _stated(subject: str, relation: str, object_: str, confidence: float = 1.0) -> Relation:
    return Relation(subject=subject, relation=relation, object=object_, confidence=confidence)


def _links(document: str, text: str) -> Iterator[Relation]:
    for found in _LINK.finditer(text):
        target = (found[1] or found[2]).strip()
        if not target.startswith(("#", "data:", "javascript:")):
            yield _stated(document, "links to", target.split("#")[0])
    for found in _URL.finditer(text):
        yield _stated(document, "links to", found.group().rstrip(".,;:!?"))


def _python(document: str, text: str) -> list[tuple[int, Relation]] | None:
    """``(line, what stands there)``; None: it does not parse."""
    tree = parsed(text)
    try:
        return None if tree is None else [*_imports(document, tree), *_definitions(document, "", tree.body)]
    except RecursionError:
        return None


def parsed(text: str) -> ast.Module | None:
    """None: it is no Python, or too long to be read as such."""
    try:
        return ast.parse(text) if len(text) <= _MOST_PARSED else None
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _imports(document: str, tree: ast.Module) -> Iterator[tuple[int, Relation]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.lineno, _stated(document, "imports", alias.name)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield node.lineno, _stated(document, "imports", module)


def _definitions(document: str, outer: str, body: list[ast.stmt]) -> Iterator[tuple[int, Relation]]:
    for node in body:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        name = f"{outer}{node.name}"
        yield node.lineno, _stated(document, "defines", name)
        if isinstance(node, ast.ClassDef):
            for base in node.bases:
                if isinstance(base, ast.Name | ast.Attribute):
                    yield base.lineno, _stated(name, "inherits from", ast.unparse(base))
            yield from _definitions(document, f"{name}.", node.body)
        else:
            yield from _calls(name, node)


def _calls(name: str, function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[tuple[int, Relation]]:
    for node in ast.walk(function):
        if not isinstance(node, ast.Call):
            continue
        called = node.func
        if isinstance(called, ast.Name):  # which function of that name, the text alone does not say
            yield called.lineno, _stated(name, "calls", called.id, 0.9)
        elif isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name):
            yield called.lineno, _stated(name, "calls", f"{called.value.id}.{called.attr}", 0.8)


def _other_code(document: str, text: str) -> Iterator[Relation]:
    for pattern in _IMPORTS:
        for found in pattern.finditer(text):
            yield _stated(document, "imports", found[1], 0.9)
    for found in _SYMBOLS.finditer(text):
        yield _stated(document, "defines", found[1], 0.9)


def _prose(document: str, text: str) -> Iterator[Relation]:
    """Sentences with a verb between two names; and the names that stand within sentences."""
    known = _words_of(document)
    for found in _QUOTED.finditer(text):
        yield _stated(document, "mentions", found[1], 0.5)
    for sentence in _SENTENCE.split(text):
        tokens = sentence.split()[:_TOKENS]
        for start, end in _verbs(tokens):
            left, right = _name_before(tokens, start), _name_after(tokens, end)
            if not left or not right:
                continue
            verb = " ".join(tokens[start:end])
            turned = _BY.match(verb)
            yield _stated(right, _ACTIVE[turned[1]], left, 0.7) if turned else _stated(left, verb, right, 0.7)
            yield _stated(document, "mentions", left, 0.5)
            yield _stated(document, "mentions", right, 0.5)
        for name in _named(tokens, known):
            about = not known.isdisjoint(name.casefold().split())
            yield _stated(document, "is about" if about else "mentions", name, 0.6 if about else 0.4)


def _words_of(document: str) -> frozenset[str]:
    """What a document's id names: the words of its last part, without a suffix or the number of a piece."""
    return frozenset(_ID_WORD.findall(PurePosixPath(document.split("#")[0]).stem.casefold()))


def _verbs(tokens: list[str]) -> Iterator[tuple[int, int]]:
    """Where the longest verbs stand."""
    place = 1
    while place < len(tokens) - 1:
        for length in range(_VERB_WORDS, 0, -1):
            if tuple(tokens[place : place + length]) in _VERBS:
                yield place, place + length
                place += length - 1
                break
        place += 1


def _is_name(token: str) -> bool:
    """A capital and what follows it, ``mixedCase``, ``joined-words`` or a number, of any alphabet."""
    word = token.rstrip(_PUNCTUATION)
    if not word or len(token) > _NAME_LIMIT or token.rstrip(".,") in _NO_NAMES:
        return False
    capital = next((place for place, letter in enumerate(word) if letter.isupper()), -1)
    if capital < 0:
        return bool(_JOINED.fullmatch(word))
    head = word[:capital]
    return (not head or head.isalpha()) and bool((_MIXED if head else _PROPER).fullmatch(word, capital))


def _name_before(tokens: list[str], end: int) -> str:
    """The name that ends before ``end``."""
    while end and tokens[end - 1] in _SKIPPED:
        end -= 1
    start = end
    while (
        start
        and end - start < _NAME_WORDS
        and _belongs(tokens, start - 1)
        and (start == end or tokens[start - 1][-1] not in ",.!?")
    ):
        start -= 1
    return _bare(tokens[start:end])


def _name_after(tokens: list[str], start: int) -> str:
    """The name that begins at ``start``."""
    while start < len(tokens) and tokens[start] in _SKIPPED:
        start += 1
    end = start
    while end < len(tokens) and end - start < _NAME_WORDS and _belongs(tokens, end):
        end += 1
        if tokens[end - 1][-1] in ",.!?":
            break
    return _bare(tokens[start:end])


def _belongs(tokens: list[str], place: int) -> bool:
    within = (
        tokens[place] in _WITHIN
        and 0 < place < len(tokens) - 1
        and _is_name(tokens[place - 1])
        and _is_name(tokens[place + 1])
    )
    return within or _is_name(tokens[place])


def _named(tokens: list[str], known: frozenset[str]) -> Iterator[str]:
    """The names that stand in a sentence.

    The first word of a sentence is written large, whatever it is: it is one with another after it, or where the id has it.
    """
    place = 0
    while place < len(tokens):
        name = _name_after(tokens, place) if tokens[place][0].isupper() and _is_name(tokens[place]) else ""
        alone = " " not in name
        if name and (place or not alone or name.casefold() in known) and not (alone and name in _TIMES):
            yield name
        place += 1 + name.count(" ")


def _bare(tokens: list[str]) -> str:
    """Without a possessive, punctuation, or a small word at an end."""
    while tokens and tokens[0] in _WITHIN:
        tokens = tokens[1:]
    while tokens and tokens[-1] in _WITHIN:
        tokens = tokens[:-1]
    return normalize("NFC", re.sub(r"['’]s$", "", " ".join(tokens).rstrip('.,;:!?)"')))
