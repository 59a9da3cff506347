"""Secrets and configured fields are never shown, logged or exported in clear (requirement P8, basic).

Two things live here: ``Redactor``, for whatever leaves the engine, and ``Credentials``, the interceptor that removes known
credential values from outcomes before they are recorded. Patterns of well-known tokens are those that providers publish.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec

from clew.core.events import Event
from clew.gate.effect import Effect, Outcome
from clew.gate.interceptor import Call, Proceed

MASK = "[redacted]"

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


class Redactor:
    """Masks known secret values, tokens by their beginning, and fields by their name."""

    def __init__(self, *, fields: Sequence[str] = (), prefixes: Sequence[str] = (), values: Sequence[str] = ()) -> None:
        self._fields = FIELDS | {_name(f) for f in fields}
        known = [re.escape(v) for v in sorted(values, key=len, reverse=True) if len(v) >= 4]
        starts = "|".join(re.escape(p) for p in (*_PREFIXES, *prefixes))
        tokens = [
            rf"\b(?:{starts})[A-Za-z0-9_\-]{{12,}}",
            r"-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]*-----END [A-Z ]*PRIVATE KEY-----",
        ]
        self._pattern = re.compile("|".join(known + tokens))

    def text(self, text: str) -> str:
        return self._pattern.sub(MASK, text)

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


def _name(field: str) -> str:
    return field.lower().replace("-", "_")


class Credentials:
    """Removes the values of the project's credentials from outcomes: a driver may echo what it was given."""

    name = "credentials"

    def __init__(self, values: Sequence[str]) -> None:
        self._pattern = (
            re.compile("|".join(re.escape(v) for v in sorted(values, key=len, reverse=True))) if values else None
        )

    async def around(self, effect: Effect, call: Call, proceed: Proceed) -> Outcome:
        outcome = await proceed(effect)
        if self._pattern is None:
            return outcome
        clean = {"output": self._clean(outcome.output), "error": self._clean(outcome.error)}
        return msgspec.structs.replace(outcome, **clean)

    def _clean(self, value: Any) -> Any:
        if self._pattern is None or value is None:
            return value
        if isinstance(value, str):
            return self._pattern.sub(MASK, value)
        if isinstance(value, Mapping):
            return {self._clean(k): self._clean(v) for k, v in cast("Mapping[str, Any]", value).items()}
        if isinstance(value, list):
            return [self._clean(v) for v in cast("list[Any]", value)]
        return value

    def fold(self, state: Any, event: Event) -> Any:
        return state
