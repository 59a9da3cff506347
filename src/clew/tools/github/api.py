"""GitHub's interfaces: one request, pages of a list, a GraphQL operation; its refusals as failures with stable codes."""

import hashlib
import re
from collections.abc import AsyncIterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any, cast
from urllib.parse import urlencode

import msgspec

from clew.core.errors import Failure, UsageError
from clew.tools.http.address import Target, addresses_of, target_of
from clew.tools.http.client import Reply, Request, exchange

BASE_URL = "https://api.github.com"
PAGE = 100
"""Entries of one page: the most that GitHub gives."""

_LIMIT = 16 * 1024 * 1024
_TIME_S = 60.0
_REDIRECTS = 4
_WAIT_MS = 60_000
"""What GitHub asks for where a limit does not say how long."""
_NEXT = re.compile(r'<([^<>]+)>\s*;[^,]*\brel="next"')
_CODES = {401: "unauthorised", 403: "forbidden", 404: "not_found", 409: "conflict", 410: "gone", 422: "refused"}
_HINTS = {
    401: "is the credential's token valid?",
    403: "may the token do this? (scope, permissions of the repository, single sign-on)",
    404: "it does not exist, or the token may not see it",
    410: "issues are disabled there, or it was deleted",
}


def base_of(tool: str, url: str) -> Target:
    """The address that a declaration names. Raises UsageError; a token goes over https alone (or stays on the machine)."""
    try:
        base = target_of(url.rstrip("/"))
    except Failure as error:
        raise UsageError(f"tool {tool!r}: config: base_url: {error.message}") from None
    if base.scheme != "https" and base.host not in ("localhost", "127.0.0.1", "::1"):
        raise UsageError(f"tool {tool!r}: config: base_url: a token is sent over https:// only")
    return base


def mark_of(key: str) -> str:
    """A comment that GitHub does not show, by which what was made under ``key`` is known again."""
    return f"<!-- clew:{hashlib.sha256(key.encode()).hexdigest()[:40]} -->"


_MARKS = re.compile(r"\s*<!-- clew:[0-9a-f]{40} -->")


def unmarked(text: str) -> str:
    return _MARKS.sub("", text)


class Api:
    """One account's view of GitHub, for one call of a tool."""

    def __init__(self, base: Target, token: str) -> None:
        self._base = base
        self._headers = {
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
            "Authorization": f"Bearer {token}",
        }

    async def rest(self, method: str, path: str, body: Any = None, **query: object) -> Any:
        """The decoded answer. Raises Failure: ``unauthorised``, ``forbidden``, ``not_found``, ``gone``, ``refused`` (``details``
        has GitHub's reasons), ``rate_limited`` (``details.retry_after_ms``), ``github_error``, and those of ``exchange``."""
        return _decoded(await self._send(method, self._target(path, query), body))

    async def pages(self, path: str, **query: object) -> AsyncIterator[list[dict[str, Any]]]:
        """A list, page by page."""
        target: Target | None = self._target(path, {"per_page": PAGE, **query})
        while target is not None:
            reply = await self._send("GET", target, None)
            yield cast("list[dict[str, Any]]", _decoded(reply))
            found = _NEXT.search(reply.headers.get("link", ""))
            target = self._own(found[1], target) if found else None

    async def graphql(self, query: str, **variables: Any) -> dict[str, Any]:
        """``data`` of the answer; errors are Failure as for ``rest``, also those that come with status 200."""
        path = self._base.path.rstrip("/")
        path = path.removesuffix("/v3") + "/graphql"  # an Enterprise server has /api/v3 and /api/graphql
        target = self._base._replace(path=path)
        answer = _decoded(await self._send("POST", target, {"query": query, "variables": variables}))
        errors: list[dict[str, Any]] = answer.get("errors") or []
        if errors:
            kind = str(errors[0].get("type", ""))
            code = {"NOT_FOUND": "not_found", "FORBIDDEN": "forbidden", "RATE_LIMITED": "rate_limited"}.get(
                kind, "refused"
            )
            code = "forbidden" if kind == "INSUFFICIENT_SCOPES" else code
            said = "; ".join(str(error.get("message", "")) for error in errors[:5])[:1000]
            details = (
                {"retry_after_ms": _WAIT_MS}
                if code == "rate_limited"
                else {"errors": [e.get("type") for e in errors[:5]]}
            )
            raise Failure(f"GitHub: {said}", code=code, details=details)
        return cast("dict[str, Any]", answer["data"])

    def _target(self, path: str, query: Mapping[str, object]) -> Target:
        given = urlencode({name: value for name, value in query.items() if value is not None})
        return self._base._replace(path=self._base.path.rstrip("/") + path + (f"?{given}" if given else ""))

    def _own(self, url: str, base: Target) -> Target:
        """An address that GitHub names; the token goes to no other place than the one that is declared."""
        target = target_of(url, base)
        if target.origin != self._base.origin:
            raise Failure("GitHub: its answer leads to another server", code="github_error")
        return target

    async def _send(self, method: str, target: Target, body: Any) -> Reply:
        data = None if body is None else msgspec.json.encode(body)
        headers = self._headers if data is None else {**self._headers, "Content-Type": "application/json"}
        for _ in range(_REDIRECTS):
            request = Request(method=method, target=target, headers=headers, body=data)
            addresses = await addresses_of(target, trusted=True)
            reply = await exchange(request, addresses, limit=_LIMIT, timeout_s=_TIME_S)
            if reply.status not in (301, 302, 307, 308):
                if reply.status >= 300 or reply.truncated:
                    raise _refusal(reply)
                return reply
            target = self._own(reply.headers.get("location", ""), target)  # a repository that was renamed
        raise Failure("GitHub: redirected again and again", code="github_error")


def _decoded(reply: Reply) -> Any:
    try:
        return msgspec.json.decode(reply.body)
    except (msgspec.DecodeError, RecursionError, ValueError):
        raise Failure("GitHub: an answer that is no JSON", code="github_error") from None


def _refusal(reply: Reply) -> Failure:
    said, reasons = _reasons(reply)
    status = reply.status
    remaining = reply.headers.get("x-ratelimit-remaining")
    limited = remaining == "0" or "retry-after" in reply.headers or "rate limit" in said.lower()
    if status == 429 or (status == 403 and limited):
        wait = _wait_ms(reply.headers)
        message = f"GitHub: {said or 'rate limit reached'}; try again in {-(-wait // 1000)} s"
        return Failure(message, code="rate_limited", details={"retry_after_ms": wait})
    code = _CODES.get(status, "refused" if status in (400, 405, 415) else "github_error")
    return Failure(
        f"GitHub: {said or f'status {status}'}", code=code, details=reasons or None, hint=_HINTS.get(status, "")
    )


def _reasons(reply: Reply) -> tuple[str, list[Any]]:
    """What it says, and the fields that it is about."""
    if reply.truncated:
        return "an answer that is too long", []
    try:
        body = msgspec.json.decode(reply.body, type=dict[str, Any])
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return "", []
    errors: Any = body.get("errors")
    listed: list[Any] = cast("list[Any]", errors)[:10] if isinstance(errors, list) else []
    more = "; ".join(filter(None, (_reason(error) for error in listed)))
    return f"{body.get('message', '')}{f' ({more})' if more else ''}"[:1000], listed


def _reason(error: Any) -> str:
    if not isinstance(error, dict):
        return str(error)[:200]
    fields = cast("dict[str, Any]", error)
    return str(fields.get("message") or " ".join(str(fields[k]) for k in ("field", "code") if k in fields))[:200]


def _wait_ms(headers: Mapping[str, str]) -> int:
    """Until it may be asked again, reckoned by the server's own clock."""
    after, reset = headers.get("retry-after", ""), headers.get("x-ratelimit-reset", "")
    if after.isdigit():
        return min(int(after), 86_400) * 1000
    try:
        left = int(reset) - int(parsedate_to_datetime(headers.get("date", "")).timestamp())
    except ValueError:
        return _WAIT_MS
    return min(max(left, 1), 86_400) * 1000
