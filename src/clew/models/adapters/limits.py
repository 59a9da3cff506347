"""Rate limits from the headers of a response. What cannot be read is taken as not said: headers are advice.

Sources: OpenAI "Rate limits" (x-ratelimit-*, durations like 6m0s), Anthropic "Rate limits" (anthropic-ratelimit-*, RFC 3339),
RFC 9110 10.2.3 (Retry-After). Dates count from the response's own Date header, so that two clocks need not agree.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime

from clew.gate.ports.model import RateLimit

UNITS = {"d": 86_400_000.0, "h": 3_600_000.0, "m": 60_000.0, "s": 1000.0, "ms": 1.0}
DURATION = re.compile(r"(\d{1,12}(?:\.\d{1,9})?)(ms|[dhms])")
LONGEST_MS = 7 * 86_400_000


def rate_limit(headers: Mapping[str, str]) -> RateLimit | None:
    """None when the provider said nothing."""
    limit = RateLimit(
        remaining_requests=_remaining(headers, "requests"),
        remaining_tokens=_remaining(headers, "tokens"),
        reset_requests_ms=_reset(headers, "requests"),
        reset_tokens_ms=_reset(headers, "tokens"),
    )
    return None if limit == RateLimit() else limit


def retry_after_ms(headers: Mapping[str, str]) -> int | None:
    """How long a refused client is asked to wait."""
    if (ms := _number(headers.get("retry-after-ms"))) is not None:
        return _bounded(ms)
    said = headers.get("retry-after")
    if (seconds := _number(said)) is not None:
        return _bounded(seconds * 1000)
    return None if said is None else _until(_http_date(said), headers)


def reset_ms(headers: Mapping[str, str]) -> int | None:
    """Until the limit that is used up is reset; where none says so, the first that is known."""
    limit = rate_limit(headers) or RateLimit()
    resets = {limit.remaining_requests: limit.reset_requests_ms, limit.remaining_tokens: limit.reset_tokens_ms}
    return resets.get(0) or limit.reset_requests_ms or limit.reset_tokens_ms


def _remaining(headers: Mapping[str, str], what: str) -> int | None:
    said = headers.get(f"x-ratelimit-remaining-{what}") or headers.get(f"anthropic-ratelimit-{what}-remaining")
    number = _number(said)
    return None if number is None else int(number)


def _reset(headers: Mapping[str, str], what: str) -> int | None:
    if (said := headers.get(f"x-ratelimit-reset-{what}")) is not None:
        return duration_ms(said)
    said = headers.get(f"anthropic-ratelimit-{what}-reset")
    return None if said is None else _until(_rfc3339(said), headers)


def duration_ms(text: str) -> int | None:
    """``1s``, ``6m0s``, ``250ms``, ``1h2m3.5s``; a bare number is seconds."""
    if (seconds := _number(text)) is not None:
        return _bounded(seconds * 1000)
    found = DURATION.findall(text.strip())
    if not found or "".join(number + unit for number, unit in found) != text.strip():
        return None
    return _bounded(sum(float(number) * UNITS[unit] for number, unit in found))


def _number(text: str | None) -> float | None:
    if text is None or not re.fullmatch(r"\s*\d{1,15}(\.\d{1,9})?\s*", text):
        return None
    return float(text)


def _until(moment: datetime | None, headers: Mapping[str, str]) -> int | None:
    now = _http_date(headers.get("date", ""))
    if moment is None or now is None:
        return None
    return _bounded((moment - now).total_seconds() * 1000)


def _http_date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return date if date.tzinfo is not None else None


def _rfc3339(text: str) -> datetime | None:
    try:
        date = datetime.fromisoformat(text)
    except ValueError:
        return None
    return date if date.tzinfo is not None else None


def _bounded(ms: float) -> int:
    return max(0, min(round(ms), LONGEST_MS))
