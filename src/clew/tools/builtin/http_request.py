"""``http_request``: one request to a host that the project allows; off without such a host."""

import codecs
import hashlib
import re
from typing import Annotated, Any, Literal

import msgspec

from clew.core.errors import Failure, UsageError
from clew.gate.ports.tool import Permissions, ToolContext, ToolSpec
from clew.manifest.compiled import ToolPlan
from clew.tools.builtin.declared import config_of, off, secret_of
from clew.tools.http.address import URL_LIMIT, Hosts, Target, addresses_of, target_of
from clew.tools.http.client import Reply, Request, exchange

Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]

REDIRECTS = 5
_READING = frozenset({"GET", "HEAD"})
_BODY_LIMIT = 1024 * 1024
_MOST_BYTES = 16 * 1024 * 1024
_TIME_S = 30
_MOST_TIME_S = 300
_PROBE = 8192
_HEADER = 2000
_EXAMPLE = "{hosts: [api.example.org], methods: [GET]}"
_NAME = re.compile(r"[A-Za-z0-9-]{1,64}\Z")
_VALUE = re.compile(r"[ -~]*\Z")
_KEPT_BACK = re.compile(
    r"(?:host|authorization|proxy-.*|cookie|connection|content-length|content-encoding|transfer-encoding|te|trailer|upgrade|"
    r"expect|keep-alive|idempotency-key|accept-encoding|via|forwarded|x-forwarded-.*|x-real-ip|x-http-method.*|x-method-override)\Z",
    re.IGNORECASE,
)
"""Header names that an agent may not set: it would be somebody else by them, or the message another."""
_SHOWN = re.compile(
    r"(content-(type|length|language|location|disposition|range)|etag|last-modified|location|link|retry-after|date|"
    r"allow|deprecation|sunset|x-total-count|x-request-id|(x-)?ratelimit(-[a-z-]+)?)\Z"
)
_CHARSETS = re.compile(
    r"(utf-?(8|16|32)|us-?ascii|iso-8859|latin|windows-12|cp12|shift_jis|euc-|gb|big5|koi8)[a-z0-9_-]*\Z"
)
_JSON = re.compile(r"application/(?:[a-z0-9.+-]+\+)?json\Z")


class _Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    hosts: tuple[str, ...] = ()
    methods: tuple[Method, ...] = ("GET", "HEAD")
    max_bytes: Annotated[int, msgspec.Meta(ge=1, le=_MOST_BYTES)] = 256 * 1024
    credential: str | None = None


class HttpRequest:
    """As declared: ``config`` has ``hosts``, ``methods``, ``max_bytes`` and ``credential`` (for ``Authorization``)."""

    def __init__(self, plan: ToolPlan) -> None:
        self._config = config_of(_Config, "http_request", plan)
        self._hosts = Hosts(self._config.hosts)
        self._on = plan.permissions.network and bool(self._config.hosts)
        if self._config.credential is not None and not self._hosts.exact:
            raise UsageError(
                "tool 'http_request': config: a credential is not sent to hosts that a * stands for",
                hint="name each host",
            )
        self.spec = _spec(self._config)

    async def call(self, args: dict[str, Any], context: ToolContext) -> dict[str, Any]:
        if not self._on:
            raise off("http_request", _EXAMPLE)
        target = target_of(args["url"])
        headers = {**_given_headers(args), **self._own_headers(args, target, context)}
        body = _body(args, headers)
        request = Request(method=args.get("method", "GET"), target=target, headers=headers, body=body)
        timeout = float(args.get("timeout", _TIME_S))
        for redirects in range(REDIRECTS + 1):
            self._hosts.check(request.target)
            addresses = await addresses_of(request.target)
            context.progress(None, f"{request.method} {request.target.authority}")
            reply = await exchange(request, addresses, limit=self._config.max_bytes, timeout_s=timeout)
            followed = _redirected(request, reply)
            if followed is None:
                return _result(request, reply, redirects)
            request = self._allowed(followed)
        raise Failure(
            f"more than {REDIRECTS} redirects", code="too_many_redirects", details={"last": request.target.url}
        )

    def _allowed(self, request: Request) -> Request:
        if request.method not in self._config.methods:
            raise Failure(f"redirected to a {request.method}, which is not allowed", code="method_not_allowed")
        return request

    def _own_headers(self, args: dict[str, Any], target: Target, context: ToolContext) -> dict[str, str]:
        own: dict[str, str] = {}
        if args.get("method", "GET") not in _READING:
            own["Idempotency-Key"] = hashlib.sha256(context.idempotency_key.encode()).hexdigest()[:32]
        if self._config.credential is not None:
            if target.scheme != "https" and target.host not in ("localhost", "127.0.0.1", "::1"):
                raise Failure("a credential is configured, and is sent over https:// only", code="insecure")
            self._hosts.check(target)
            secret = secret_of(context.secrets, self._config.credential)
            own["Authorization"] = secret if " " in secret else f"Bearer {secret}"
        return own


def _spec(config: _Config) -> ToolSpec:
    reads = _READING.issuperset(config.methods)
    return ToolSpec(
        id="http_request",
        description=(
            f"Send one HTTP request. Allowed hosts: {', '.join(config.hosts) or 'none (the tool is off)'}. Any status is a "
            "result, not an error: look at `status`. JSON comes back as `json`, other text as `text`; of anything else only "
            f"`sha256` and `bytes`. `truncated` says that the answer was longer than {config.max_bytes} bytes. Redirects are "
            "followed to allowed hosts. Give `body` or `json`, not both. Credentials are not yours to send. Fails with "
            "invalid_url, host_not_allowed, address_not_allowed, unknown_host, connection_failed, tls_failed, bad_response, "
            "http_timeout or too_many_redirects."
        ),
        inputs={
            "type": "object",
            "properties": {
                "url": {"type": "string", "minLength": 1, "maxLength": URL_LIMIT, "pattern": "^https?://"},
                "method": {"enum": list(config.methods), **({"default": "GET"} if "GET" in config.methods else {})},
                "headers": {
                    "type": "object",
                    "maxProperties": 30,
                    "additionalProperties": {"type": "string", "maxLength": _HEADER},
                },
                "body": {"type": "string", "maxLength": _BODY_LIMIT},
                "json": {"description": "Any value, sent as JSON"},
                "timeout": {"type": "number", "exclusiveMinimum": 0, "maximum": _MOST_TIME_S, "default": _TIME_S},
            },
            "required": ["url"] if "GET" in config.methods else ["url", "method"],
            "additionalProperties": False,
        },
        outputs={
            "type": "object",
            "properties": {
                "url": {"type": "string", "description": "Where the answer came from, after redirects"},
                "status": {"type": "integer"},
                "headers": {"type": "object", "additionalProperties": {"type": "string"}},
                "json": {},
                "text": {"type": "string"},
                "sha256": {"type": "string"},
                "bytes": {"type": "integer"},
                "truncated": {"type": "boolean"},
                "redirects": {"type": "integer"},
            },
            "required": ["url", "status", "headers", "bytes", "truncated", "redirects"],
        },
        permissions=Permissions(network=True),
        risk="medium" if reads else "high",
        repeat_safe=reads,
        mutates=not reads,
    )


def _given_headers(args: dict[str, Any]) -> dict[str, str]:
    given: dict[str, str] = args.get("headers", {})
    for name, value in given.items():
        if not _NAME.match(name) or not _VALUE.match(value) or _KEPT_BACK.match(name):
            raise Failure(f"the header {name[:64]!r} cannot be set: leave it out", code="invalid_arguments")
    return given


def _body(args: dict[str, Any], headers: dict[str, str]) -> bytes | None:
    if "json" in args and "body" in args:
        raise Failure("give body or json, not both", code="invalid_arguments")
    if "json" in args:
        _default(headers, "Content-Type", "application/json")
        body = msgspec.json.encode(args["json"])
    elif "body" in args:
        _default(headers, "Content-Type", "text/plain; charset=utf-8")
        body = str(args["body"]).encode("utf-8", "replace")
    else:
        return None
    if len(body) > _BODY_LIMIT:
        raise Failure(f"a body of {len(body)} bytes is more than {_BODY_LIMIT}", code="too_large")
    return body


def _default(headers: dict[str, str], name: str, value: str) -> None:
    if name.lower() not in {key.lower() for key in headers}:
        headers[name] = value


def _redirected(request: Request, reply: Reply) -> Request | None:
    """The request that the reply asks for (RFC 9110, 15.4); what is for one origin is not shown to another."""
    location = reply.headers.get("location")
    if reply.status not in (301, 302, 303, 307, 308) or not location:
        return None
    target = target_of(location, request.target)
    method, body, headers = request.method, request.body, dict(request.headers)
    if (reply.status == 303 and method != "HEAD") or (reply.status in (301, 302) and method == "POST"):
        method, body = "GET", None
        headers = {
            name: value for name, value in headers.items() if name.lower() not in ("content-type", "idempotency-key")
        }
    if target.origin != request.target.origin:
        headers.pop("Authorization", None)
    return Request(method=method, target=target, headers=headers, body=body)


def _result(request: Request, reply: Reply, redirects: int) -> dict[str, Any]:
    headers = {name: value[:_HEADER] for name, value in reply.headers.items() if _SHOWN.match(name)}
    result: dict[str, Any] = {
        "url": request.target.url, "status": reply.status, "headers": headers, "bytes": len(reply.body),
        "truncated": reply.truncated, "redirects": redirects,
    }  # fmt: skip
    kind, _, parameters = reply.headers.get("content-type", "").partition(";")
    if _JSON.match(kind.strip().lower()) and not reply.truncated:
        try:
            return {**result, "json": msgspec.json.decode(reply.body)}
        except (msgspec.DecodeError, RecursionError, ValueError):
            pass  # said to be JSON and is not: shown as it is
    charset = _charset(parameters)
    if charset.startswith("utf-8") and b"\0" in reply.body[:_PROBE]:
        return {**result, "sha256": hashlib.sha256(reply.body).hexdigest()}
    return {**result, "text": reply.body.decode(charset, "replace")}


def _charset(parameters: str) -> str:
    """The one that is named, where it is one of text; else UTF-8."""
    found = re.search(r'charset="?([A-Za-z0-9_-]{1,40})', parameters)
    name = found[1].lower() if found else "utf-8"
    try:
        return codecs.lookup(name).name if _CHARSETS.match(name) else "utf-8"
    except LookupError:
        return "utf-8"
