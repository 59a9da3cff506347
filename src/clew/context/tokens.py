"""How many tokens a text is, without a model's own tokenizer: an estimate, of prose and code on the high side.

Byte-pair vocabularies split text at words, numbers of up to three digits, runs of punctuation and of spaces, and keep common
words whole; of what is left, a token has about four characters of Latin script and one of most others. A space belongs to the
word after it, an indentation to its line feed. Compared with cl100k_base it gives 10-20 % more for prose and code, 0-16 % less
for tables that are aligned by spaces. Whatever a text is, no more than 25 of its characters are counted as one token.
"""

import re

_PIECES = re.compile(
    r"[A-Za-z]+|[0-9]{1,3}|[^\x00-\x7f]+|[^\sA-Za-z0-9]+|(?:\r?\n)+[ \t]{0,16}|[ \t]{2,}|[\r\f\v]", re.ASCII
)
_WHOLE = 7
"""Letters of a word that is one token as a rule."""
_SPACES = 16
"""In a row that are one token; in cl100k_base 128."""
_MIXED = 2
"""Spaces and tabs in turn that are one token, as in cl100k_base."""
_LINE_FEEDS = 4
"""In a row that are one token; in cl100k_base 32, or 4 with carriage returns."""


def count(text: str) -> int:
    """Tokens of ``text``, estimated."""
    return sum(_of(piece) for piece in _PIECES.findall(text))


def cut(text: str, most: int) -> str:
    """As much of the beginning of ``text`` as ``most`` tokens hold; whole pieces only."""
    used, end = 0, 0
    for found in _PIECES.finditer(text):
        used += _of(found.group())
        if used > most:
            return text[:end]
        end = found.end()
    return text


def _of(piece: str) -> int:
    if not piece.isascii():
        return len(piece)
    if piece[0].isalpha():
        return 1 if len(piece) <= _WHOLE else -(-len(piece) // 4)
    if piece[0] in " \t":
        return -(-len(piece) // (_MIXED if "\t" in piece else _SPACES))
    if piece[0] in "\r\n\f\v":
        return -(-piece.count("\n") // _LINE_FEEDS) or 1
    return -(-len(piece) // 2) if not piece[0].isdigit() else 1
