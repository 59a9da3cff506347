"""What went wrong at a provider, in the codes of ``clew.gate.ports.model.FAULTS``."""

from typing import Any

import httpx2
from pydantic_ai.exceptions import (
    ModelAPIError,
    ModelAuthenticationError,
    ModelConnectionError,
    ModelContextWindowExceededError,
    ModelHTTPError,
    ModelQuotaExceededError,
    ModelRateLimitError,
    ModelRequestRejectedError,
    ModelServerError,
    ModelTimeoutError,
    ModelUnavailableError,
    UnexpectedModelBehavior,
    UserError,
)

from clew.core.errors import Failure
from clew.models.adapters.limits import reset_ms, retry_after_ms
from clew.models.adapters.wire import Exchange
from clew.policies.redact import Redactor

SHOWN = 500
"""Characters of a provider's own words that are passed on."""

TIMEOUTS = frozenset({408, 504, 524})
CATEGORIES: dict[type[Exception], str] = {
    ModelTimeoutError: "provider_timeout",
    httpx2.TimeoutException: "provider_timeout",
    ModelContextWindowExceededError: "context_too_long",
    ModelAuthenticationError: "unauthorised",
    ModelQuotaExceededError: "unauthorised",
    ModelRateLimitError: "rate_limited",
    ModelUnavailableError: "provider_error",
    ModelServerError: "provider_error",
    ModelRequestRejectedError: "invalid_request",
    UserError: "invalid_request",
}
"""The first that fits counts. Quota that is used up is no matter of waiting: the account may not ask."""

CONTEXT_WORDS = (
    "context_length_exceeded",
    "context length",
    "context window",
    "prompt is too long",
    "input token count",
)


def failure_of(error: Exception, provider: str, exchange: Exchange) -> Failure:
    """The failure that stands for ``error``. Any exception counts as a malformed answer once an answer had begun;
    one that comes before is raised again: a mistake in the adapter."""
    code = _code(error, exchange)
    if code is None:
        raise error
    details: dict[str, Any] = {}
    status = exchange.status
    if status == 200 and isinstance(error, ModelHTTPError):  # told of in the stream
        status = error.status_code
    if status is not None and status != 200:
        details["status"] = status
    if (ms := _wait(error, exchange, code)) is not None:
        details["retry_after_ms"] = ms
    words = _clean(_words(error), exchange)
    return Failure(f"provider {provider}: {words}", code=code, details=details or None)


def _code(error: Exception, exchange: Exchange) -> str | None:
    if exchange.status is not None and 300 <= exchange.status < 400:
        return "provider_error"
    status = error.status_code if isinstance(error, ModelHTTPError) else None
    if status in TIMEOUTS:
        return "provider_timeout"
    if status is not None and 400 <= status < 500 and any(w in _words(error).lower() for w in CONTEXT_WORDS):
        return "context_too_long"
    for kind, code in CATEGORIES.items():
        if isinstance(error, kind):
            return code
    if status is not None:
        return "invalid_request" if 400 <= status < 500 else "provider_error"
    if isinstance(error, ModelConnectionError | httpx2.TransportError):
        return "provider_unreachable" if exchange.status is None else "bad_answer"
    if isinstance(error, ModelAPIError) and error.in_stream:
        return "provider_error"
    if exchange.status is not None or isinstance(error, UnexpectedModelBehavior | ModelAPIError):
        return "bad_answer"
    return None


def _wait(error: Exception, exchange: Exchange, code: str) -> int | None:
    """What the provider asked for; of a limit that is used up, when it is reset."""
    if (ms := retry_after_ms(exchange.headers)) is not None:
        return ms
    if isinstance(error, ModelAPIError) and error.retry_after is not None:
        return round(error.retry_after * 1000)
    return reset_ms(exchange.headers) if code == "rate_limited" else None


def _words(error: Exception) -> str:
    """The provider's own message where there is one."""
    if isinstance(error, ModelHTTPError):
        return f"{error.status_code}: {_message(error.body) or 'no reason given'}"
    if isinstance(error, ModelConnectionError | httpx2.TransportError):
        return f"connection failed: {_root(error)}"
    if isinstance(error, ModelAPIError | UnexpectedModelBehavior | UserError):
        return _message(getattr(error, "body", None)) or error.message
    return f"the answer cannot be read ({type(error).__name__})"


def _root(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error) or type(error).__name__


def _message(body: Any) -> str:
    """``{"error": {"message": …}}``, ``{"message": …}``, ``{"error": …}``, or a text."""
    for name in ("error", "message"):
        if isinstance(body, dict):
            fields: dict[str, Any] = {**body}
            body = fields.get(name, fields)
    return body if isinstance(body, str) else ""


def _clean(text: str, exchange: Exchange) -> str:
    """One line, bounded, without the credential, which some servers repeat."""
    if exchange.key:  # in every form, and before the text is cut: half a secret would not be found again
        text = Redactor(values=(exchange.key,)).text(text)
    line = " ".join(text.split())
    return line if len(line) <= SHOWN else f"{line[:SHOWN]}…"
