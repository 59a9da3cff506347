"""Secrets and configured fields are never shown, logged or exported in clear (requirement P8, basic).

``Redactor`` is for whatever leaves the engine, ``StreamRedactor`` for text that leaves it piece by piece, and ``Credentials`` is
the interceptor that removes known credential values from outcomes before they are recorded. Patterns of well-known tokens are
those that providers publish; the armour of private keys is that of RFC 7468.
"""

import base64
import html
import json
import re
import string
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast
from urllib.parse import quote, quote_plus

import msgspec

from clew.core.events import Event
from clew.gate.effect import Effect, Outcome
from clew.gate.interceptor import Call, Proceed
from clew.gate.ports.secrets import Secrets

MASK = "[redacted]"
_SHORTEST, _WORDS = 4, 8

FIELDS = frozenset(
    {"password", "passwd", "secret", "token", "api_key", "apikey", "authorization", "access_token", "refresh_token",
     "client_secret", "private_key", "credential", "credentials", "cookie"}
)  # fmt: skip
"""Field names (lower case, ``-`` as ``_``) whose values are masked whole."""

_PREFIXES = (
    "sk-",
    "ghp_",
    "gho_",
    "ghs_",
    "github_pat_",
    "xoxb-",
    "xoxp-",
    "AKIA",
    "ASIA",
    "AIza",
    "glpat-",
    "hf_",
    "npm_",
)
_WORD = f"{string.ascii_letters}{string.digits}_-"
"""What a token consists of after its beginning."""
_REST = r"[A-Za-z0-9_\-]{12,}"

_DASHES = "-----"
_LABEL = "[A-Z ]{0,40}"
_ARMOUR = rf"(?:[\w+/=\s\\:,\"'>]++|-(?!{_DASHES[1:]}))*+"
_KEY = rf"{_DASHES}BEGIN {_LABEL}PRIVATE KEY{_DASHES}{_ARMOUR}"
_KEY_ENDED = rf"{_KEY}(?:{_DASHES}END {_LABEL}PRIVATE KEY{_DASHES})?"
"""A key that was cut off is masked as far as it goes."""
_BEGIN_OPEN = rf"-{{1,4}}|{_DASHES}(?:B|BE|BEG|BEGI|BEGIN|BEGIN {_LABEL}-{{0,4}})?"
_END_OPEN = rf"{_DASHES}(?:E|EN|END|END {_LABEL}-{{0,4}})?"
_KEY_OPEN = re.compile(rf"(?:{_KEY}(?:{_END_OPEN})?|{_BEGIN_OPEN})\Z")

_SHORT = 400
"""Up to so many characters one pattern with everything in it is faster than looking first for what there is."""
_KEPT_PATTERNS = 64
_FRAGMENT = 6
"""The shortest piece of base64 that is taken for a secret's."""
_LONGEST_HELD = 4096
_HELD_ENDS = 128


def forms(value: str) -> set[str]:
    """How a secret may be written by who echoes it: itself, escaped in JSON, in HTML and in an address, and in base64.

    Base64 also of anything that has it inside (``Basic``, ``Bearer …``): the characters that the secret alone decides.
    """
    once, ascii_once = json.dumps(value, ensure_ascii=False)[1:-1], json.dumps(value)[1:-1]
    found = {value, once, ascii_once, json.dumps(once, ensure_ascii=False)[1:-1], json.dumps(ascii_once)[1:-1]}
    found |= {form.replace("/", "\\/") for form in (once, ascii_once)}
    found |= {html.escape(value), html.escape(value, quote=False)}
    for quoted in (quote(value), quote(value, safe=""), quote_plus(value)):
        found |= {quoted, re.sub("%..", lambda m: m[0].lower(), quoted)}
    raw = value.encode("utf-8", "surrogatepass")
    for offset in range(3):
        encoded = base64.b64encode(bytes(offset) + raw).decode()
        piece = encoded[-(-offset * 8 // 6) : (offset + len(raw)) * 8 // 6]
        if len(piece) >= _FRAGMENT:
            found |= {piece, piece.translate(_URL_SAFE)}
    return found


_URL_SAFE = str.maketrans("+/", "-_")


class _Masks:
    """Many patterns at once, each with a text without which it cannot match. Earlier ones win at the same place."""

    def __init__(self, rules: Sequence[tuple[str, str]]) -> None:
        self._rules = rules
        self.pattern = re.compile("|".join(source for _, source in rules) or r"(?!)")
        self._some: dict[tuple[int, ...], re.Pattern[str]] = {}

    def sub(self, text: str) -> str:
        if len(text) <= _SHORT:
            return self.pattern.sub(MASK, text)
        there = tuple(i for i, (needle, _) in enumerate(self._rules) if needle in text)
        if not there:
            return text
        pattern = self._some.get(there)
        if pattern is None:
            if len(self._some) >= _KEPT_PATTERNS:
                self._some.clear()
            pattern = self._some[there] = re.compile("|".join(self._rules[i][1] for i in there))
        return pattern.sub(MASK, text)


def maskable(value: str) -> bool:
    """Whether a secret can be masked without harm. What is very short, or a short word such as ``ollama``, ``none`` or ``EMPTY``
    (what local servers are given for a key), stands in too much that is no secret."""
    return len(value) >= _SHORTEST and not (len(value) < _WORDS and value.isalpha())


def _known(values: Iterable[str]) -> list[str]:
    """Every form of every value that can be masked, longest first."""
    found = {form for value in values if maskable(value) for form in forms(value)}
    return sorted(found, key=lambda form: (-len(form), form))


class Redactor:
    """Masks known secret values in every form, tokens by their beginning, and fields by their name."""

    def __init__(self, *, fields: Sequence[str] = (), prefixes: Sequence[str] = (), values: Sequence[str] = ()) -> None:
        self._fields = FIELDS | {_name(f) for f in fields}
        known = _known(values)
        self._by_first: dict[str, list[str]] = {}
        for form in known:
            self._by_first.setdefault(form[0], []).append(form)
        self.longest = len(known[0]) if known else 0
        """Characters of the longest form of a known value; tokens and keys may be longer."""
        beginnings = sorted({*_PREFIXES, *prefixes} - {""}, key=lambda p: (-len(p), p))
        self._longest_beginning = len(beginnings[0])
        self._begins = re.compile(rf"\b(?=({'|'.join(map(re.escape, beginnings))}))")
        partial = {p[:n] for p in beginnings for n in range(1, len(p))}
        self._may_begin = re.compile(rf"\b(?:{'|'.join(re.escape(p) for p in sorted(partial))})\Z")
        # a literal comes first in each, so that the search can skip; \b is looked at behind it
        tokens = [(p, rf"{re.escape(p)}(?<=\b{re.escape(p)}){_REST}") for p in beginnings]
        self._masks = _Masks([*((form, re.escape(form)) for form in known), *tokens, (f"{_DASHES}BEGIN ", _KEY_ENDED)])

    def text(self, text: str) -> str:
        return self._masks.sub(text)

    def value(self, value: Any) -> Any:
        """A copy of a JSON value with secrets masked."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            mapping = cast("Mapping[str, Any]", value)
            return {
                self.text(k): MASK if _name(k) in self._fields and v not in (None, "") else self.value(v)
                for k, v in mapping.items()
            }
        if isinstance(value, list | tuple):
            return [self.value(v) for v in cast("Sequence[Any]", value)]
        return value

    def first(self, text: str, start: int) -> re.Match[str] | None:
        """The first secret at or after ``start``."""
        return self._masks.pattern.search(text, start)

    def open_at(self, text: str, start: int) -> int:
        """From where on, after ``start``, more text could still make a secret; the length of ``text`` where it could not."""
        return min(self._value_open(text, start), self._token_open(text, start))

    def _value_open(self, text: str, start: int) -> int:
        for at in range(max(start, len(text) - self.longest + 1), len(text)):
            candidates = self._by_first.get(text[at])
            if candidates and any(len(c) > len(text) - at and c.startswith(text[at:]) for c in candidates):
                return at
        return len(text)

    def _token_open(self, text: str, start: int) -> int:
        found = [len(text)]
        run = len(text.rstrip(_WORD))
        for match in self._begins.finditer(text, max(start, run - self._longest_beginning)):
            if match.end(1) >= run:
                found.append(match.start())
                break
        found += [m.start() for m in (self._may_begin.search(text, start), _KEY_OPEN.search(text, start)) if m]
        return min(found)


def alike(one: Any, other: Any) -> bool:
    """Whether two JSON values are the same but for what is masked in one of them."""
    if isinstance(one, str) and isinstance(other, str):
        return one == other or _covers(one, other) or _covers(other, one)
    if isinstance(one, dict) and isinstance(other, dict):
        a, b = cast("dict[str, Any]", one), cast("dict[str, Any]", other)
        return a.keys() == b.keys() and all(alike(value, b[key]) for key, value in a.items())
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        these, those = cast("Sequence[Any]", one), cast("Sequence[Any]", other)
        return len(these) == len(those) and all(map(alike, these, those))
    return isinstance(one, bool) == isinstance(other, bool) and one == other


def _covers(masked: str, text: str) -> bool:
    """Whether ``masked`` is ``text`` with something masked."""
    if MASK not in masked:
        return False
    first, *between, last = masked.split(MASK)
    at, end = len(first), len(text) - len(last)
    if not (text.startswith(first) and text.endswith(last)):
        return False
    for piece in between:
        found = text.find(piece, at, end)
        if found < 0:
            return False
        at = found + len(piece)
    return at <= end


def _name(field: str) -> str:
    return field.lower().replace("-", "_")


class StreamRedactor:
    """Redacts text that comes in pieces as if it had come whole; holds back only what could still become a secret."""

    def __init__(self) -> None:
        self._before: str = ""
        """The last character that was given out: a token does not begin in the middle of a word."""
        self._held: str = ""

    def push(self, text: str, redactor: Redactor) -> str:
        """What of the text so far may be shown."""
        text, at = self._before + self._held + text, len(self._before)
        shown, still = "", redactor.open_at(text, at)
        while (match := redactor.first(text, at)) and match.start() < still:
            shown += text[at : match.start()] + MASK
            at = match.end()
            if at > still:  # what seemed to begin there was the end of this one
                still = redactor.open_at(text, at)
        shown += text[at:still]
        self._before, self._held = text[still - 1 : still], text[still:]
        if len(self._held) > max(_LONGEST_HELD, redactor.longest):  # a token or a key: masked whole, however long
            self._held = self._held[:_HELD_ENDS] + self._held[-_HELD_ENDS:]
        return shown

    def flush(self, redactor: Redactor) -> str:
        """The rest, when no more follows."""
        text, at = self._before + self._held, len(self._before)
        self._before = self._held = ""
        shown = ""
        while match := redactor.first(text, at):
            shown += text[at : match.start()] + MASK
            at = match.end()
        return shown + text[at:]


class Credentials:
    """Removes the values of the project's credentials from outcomes, in every form: a driver may echo what it was given."""

    name = "credentials"

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self._values: tuple[str, ...] = ()
        self._masks = _Masks(())

    async def around(self, effect: Effect, call: Call, proceed: Proceed) -> Outcome:
        outcome = await proceed(effect)
        fields = {name: getattr(outcome, name) for name in ("output", "error", "performed", "notes")}
        clean = self.clean(fields)
        return outcome if clean is fields else msgspec.structs.replace(outcome, **clean)

    def clean(self, value: Any) -> Any:
        """A JSON value without the credentials that are known now; the value itself where there are none."""
        values = tuple(self._secrets.known())
        if values != self._values:
            self._values = values
            self._masks = _Masks([(form, re.escape(form)) for form in _known(values)])
        return self._clean(value) if values else value

    def _clean(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._masks.sub(value)
        if isinstance(value, Mapping):
            return {self._clean(k): self._clean(v) for k, v in cast("Mapping[str, Any]", value).items()}
        if isinstance(value, list | tuple):
            return [self._clean(v) for v in cast("Sequence[Any]", value)]
        return value

    def fold(self, state: Any, event: Event) -> Any:
        return state
