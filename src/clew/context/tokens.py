"""How many tokens a text is, without a model's own tokenizer: an estimate that errs on the high side.

Byte-pair vocabularies split text at words, numbers of up to three digits, runs of punctuation and of spaces, and keep common
words whole; of what is left, a token has about four characters of Latin script and one of most others.
"""

import re

_PIECES = re.compile(r"[A-Za-z]+|[0-9]{1,3}|[^\x00-\x7f]+|[^\sA-Za-z0-9]+|\n+", re.ASCII)
_WHOLE = 7
"""Letters of a word that is one token as a rule."""


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
    if piece[0] == "\n":
        return 1
    return -(-len(piece) // 2) if not piece[0].isdigit() else 1
