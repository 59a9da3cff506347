"""Text -> terms: what BM25 and the offline embedder count.

Words and numbers of NFKC text, casefolded; of English words the stem (Porter2, by the Snowball library).
An identifier (``camelCase``, ``snake_case``, ``a.b``) gives itself and its parts; Chinese, Japanese and Korean give bigrams.
"""

import re
from collections.abc import Iterable
from itertools import chain, pairwise
from unicodedata import combining, normalize, unidata_version

from clew.context.sparse.stemmer import VERSION, stem

NAME = f"1 snowball {VERSION} unicode {unidata_version}"
"""What makes the terms: with another one the terms of an index are not those of a query."""

LONGEST = 64
"""Code points of a term; what is longer is cut."""
_CACHED = 1 << 17
"""Chunks whose terms are remembered: about 25 MB."""
_CACHED_CHUNK = 40
_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uac00-\ud7af\U00020000-\U0003134f"
_WORD = rf"[^\W{_CJK}]"
_CHUNK = re.compile(rf"[{_CJK}]+|{_WORD}+(?:['’.]+{_WORD}+)*")
_CJK_RUN = re.compile(rf"[{_CJK}]+")
_TOKEN = re.compile(rf"{_WORD}+(?:['’]{_WORD}+|\.{_WORD}+)*")
_POSSESSIVE = re.compile(r"['’][sS]$")
_PART = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[^\W_A-Z]+|[A-Z]+")
_MOST_MARKS = 30
"""Combining marks on one letter, as in the stream-safe format of Unicode (UAX #15): no language comes near."""
_SIGNS = re.compile(rf"[^\w\x00-\x7f]{{{_MOST_MARKS + 1},}}")
_ASCII = {code: " " for code in range(128) if not (chr(code).isalnum() or chr(code) in "_.'")}

_STOP = """
a an and are as at be but by for from had has have he her his i if in into is it its me my no not of on or our she
so such that the their them then there these they this to was we were what when where which who will with would you
your
"""
STOP = frozenset(_STOP.split())
"""English words that say nothing about a document; a query uses them only when it has nothing else."""


def words(text: str) -> list[str]:
    """The terms of ``text`` in order, each as often as it is there. Total: any text is allowed, lone surrogates too."""
    return list(terms(text))


def terms(text: str) -> Iterable[str]:
    """As ``words``, one after the other."""
    chunks = text.translate(_ASCII).split() if text.isascii() else _CHUNK.findall(_normal(text))
    if len(_cache) >= _CACHED:
        _cache.clear()
    return chain.from_iterable(map(_cache.__getitem__, chunks))


def _normal(text: str) -> str:
    """NFKC, which puts marks in order in time by the square of their number: of very many, the first."""
    text = text.replace("\uff9e", "\u3099").replace("\uff9f", "\u309a")  # the only letters that it makes marks of
    return normalize("NFKC", _SIGNS.sub(_unmarked, text))


def _unmarked(signs: re.Match[str]) -> str:
    kept: list[str] = []
    marks = 0
    for sign in signs.group():
        marks = marks + 1 if combining(normalize("NFKD", sign)[0]) else 0
        if marks <= _MOST_MARKS:
            kept.append(sign)
    return "".join(kept)


class _Cache(dict[str, tuple[str, ...]]):
    def __missing__(self, chunk: str) -> tuple[str, ...]:
        found = tuple(_analyzed(chunk))
        if len(chunk) <= _CACHED_CHUNK:
            self[chunk] = found
        return found


_cache = _Cache()


def _analyzed(chunk: str) -> Iterable[str]:
    bare = chunk.rstrip(".")
    if bare.isascii() and bare.isalnum() and (bare.islower() or bare.istitle()):  # most are
        return (_stem(bare[:LONGEST].lower()),)
    if _CJK_RUN.fullmatch(chunk):
        return [chunk] if len(chunk) == 1 else map("".join, pairwise(chunk))
    return chain.from_iterable(map(_token, _TOKEN.findall(chunk)))


def _token(token: str) -> list[str]:
    """The word itself, then its parts if it has several."""
    token = _POSSESSIVE.sub("", token).replace("'", "").replace("’", "")
    parts = [_folded(part) for part in _PART.findall(token)]
    whole = _folded(token.strip("_."))
    return [whole, *parts] if len(parts) > 1 else [whole] if whole else []


def _folded(word: str) -> str:
    return _stem(word[:LONGEST].casefold()[:LONGEST])


def _stem(word: str) -> str:
    return stem(word) if word.isascii() and word.isalpha() and word not in STOP else word
