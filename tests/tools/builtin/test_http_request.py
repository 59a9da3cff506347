import pytest

from clew.core.errors import Failure, UsageError
from clew.manifest.compiled import ToolPlan
from clew.tools.builtin import builtin
from clew.tools.http.client import Reply

WRITES = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]


@pytest.fixture
def fetch(ask, site):
    async def call(path="/", config=None, **args):
        context = args.pop("context", {})
        return await ask(
            "http_request", {"hosts": [site.host], **(config or {})}, {"url": site.url + path, **args}, **context
        )

    return call


@pytest.fixture
def fails(fetch):
    async def call(*args, **kwargs):
        with pytest.raises(Failure) as caught:
            await fetch(*args, **kwargs)
        return caught.value.code

    return call


async def test_json(fetch, site):
    site.answer = lambda *_: (200, {"a": [1]}, [("ETag", "x"), ("Set-Cookie", "s=1"), ("X-RateLimit-Remaining", "9")])
    result = await fetch("/p", headers={"Accept": "application/json"})
    assert result["json"] == {"a": [1]}
    assert (result["status"], result["truncated"], result["redirects"]) == (200, False, 0)
    assert result["headers"]["etag"] == "x"
    assert result["headers"]["x-ratelimit-remaining"] == "9"
    assert "set-cookie" not in result["headers"]
    assert site.asked[0][2]["accept"] == "application/json"
    assert "authorization" not in site.asked[0][2]
    assert "idempotency-key" not in site.asked[0][2]


@pytest.mark.parametrize(
    ("kind", "body", "expected"),
    [
        ("text/html; charset=iso-8859-1", "ü".encode("latin-1"), "ü"),
        ('text/plain; charset="utf-16"', "ü".encode("utf-16"), "ü"),
        ("text/plain; charset=unicode_escape", rb"\x41", r"\x41"),
        ("text/plain; charset=latin-nonsense", b"a", "a"),
        ("text/plain", b"\xff", "\ufffd"),
        ("application/json", b"{not json", "{not json"),
        ("application/json", b"[" * 100_000, "[" * 100_000),
        ("", b"x", "x"),
    ],
)
async def test_text(fetch, site, kind, body, expected):
    site.answer = lambda *_: (200, body, [("Content-Type", kind)])
    assert (await fetch())["text"] == expected


async def test_other_content_is_only_described(fetch, site):
    site.answer = lambda *_: (200, b"\x89PNG\0\0", [("Content-Type", "image/png")])
    result = await fetch()
    assert (result["bytes"], len(result["sha256"])) == (6, 64)
    assert "text" not in result


async def test_a_status_is_a_result(fetch, site):
    site.answer = lambda *_: (503, {"why": "later"}, [("Retry-After", "3")])
    result = await fetch()
    assert (result["status"], result["headers"]["retry-after"]) == (503, "3")


async def test_long_answers_are_cut(fetch, site):
    site.answer = lambda *_: (200, b'"' + b"x" * 5000 + b'"')
    result = await fetch(config={"max_bytes": 10})
    assert (result["text"], result["truncated"]) == ('"xxxxxxxxx', True)


async def test_writing(fetch, site):
    await fetch(config={"methods": WRITES}, method="POST", json={"a": 1})
    await fetch(config={"methods": WRITES}, method="PUT", body="ü", headers={"content-type": "text/x"})
    await fetch(config={"methods": WRITES}, method="DELETE", context={"key": "another"})
    (_, _, first, body), (_, _, second, text), (_, _, third, _) = site.asked
    assert (body, first["content-type"]) == (b'{"a":1}', "application/json")
    assert (text, second["content-type"]) == ("ü".encode(), "text/x")
    assert first["idempotency-key"] == second["idempotency-key"] != third["idempotency-key"]
    assert len(first["idempotency-key"]) == 32


def test_what_it_may_says_what_it_is():
    reading = builtin("http_request").spec
    writing = builtin("http_request", ToolPlan(type="builtin", config={"methods": ["GET", "POST"]})).spec
    assert (reading.mutates, reading.repeat_safe, reading.risk) == (False, True, "medium")
    assert (writing.mutates, writing.repeat_safe, writing.risk) == (True, False, "high")
    assert reading.permissions.network
    assert "the tool is off" in reading.description


@pytest.mark.parametrize(
    "config",
    [
        {"hosts": ["*"]},
        {"hosts": "api.example.org"},
        {"methods": ["CONNECT"]},
        {"max_bytes": 0},
        {"max_bytes": 10**9},
        {"hosts": ["*.example.org"], "credential": "key"},
        {"host": ["a"]},
    ],
)
def test_declarations_that_cannot_be(config):
    with pytest.raises(UsageError):
        builtin("http_request", ToolPlan(type="builtin", config=config))


async def test_off_unless_a_host_is_allowed(fails, site):
    assert await fails(config={"hosts": []}) == "tool_off"
    assert await fails(context={"network": False}) == "tool_off"
    assert site.asked == []


async def test_refuses(fails, fetch, site):
    assert await fails(config={"hosts": ["api.example.org"]}) == "host_not_allowed"
    assert await fails(method="POST") == "invalid_arguments"
    for header in ("Host", "authorization", "Cookie", "X-Forwarded-For", "Transfer-Encoding", "Proxy-X", "a b", "x:y"):
        assert await fails(headers={header: "x"}) == "invalid_arguments", header
    assert await fails(headers={"X": "a\r\nHost: b"}) == "invalid_arguments"
    assert await fails(config={"methods": WRITES}, method="POST", body="x", json=1) == "invalid_arguments"
    assert await fails(config={"methods": WRITES}, method="POST", json=["ü" * 600_000]) == "too_large"
    assert site.asked == []


async def test_credentials_come_from_the_declaration(fetch, fails, site, keys):
    await fetch(config={"credential": "key"})
    assert site.asked[0][2]["authorization"] == f"Bearer {keys.value('key')}"
    keys._values["basic"] = "Basic eDp5"
    await fetch(config={"credential": "basic"})
    assert site.asked[1][2]["authorization"] == "Basic eDp5"
    assert await fails(config={"credential": "other"}) == "no_credential"
    assert await fails(config={"credential": "key"}, context={"secrets": None}) == "no_credential"


async def test_a_credential_does_not_go_in_clear(ask):
    with pytest.raises(Failure) as caught:
        await ask("http_request", {"hosts": ["example.org"], "credential": "key"}, {"url": "http://example.org/"})
    assert caught.value.code == "insecure"


async def test_redirects_to_allowed_hosts(fetch, fails, site):
    site.answer = lambda m, path, *_: (302, b"", [("Location", "/b#x")]) if path == "/a" else (200, {"at": path})
    result = await fetch("/a")
    assert (result["json"], result["redirects"], result["url"]) == ({"at": "/b"}, 1, site.url + "/b")
    for to in ("http://169.254.169.254/", "http://localhost:1/", "https://example.org/", "//example.org/"):
        site.answer = lambda *_, to=to: (302, b"", [("Location", to)])
        assert await fails() == "host_not_allowed", to
    for to in ("file:///etc/passwd", "http://u:p@127.0.0.1/", "http://[::1"):
        site.answer = lambda *_, to=to: (302, b"", [("Location", to)])
        assert await fails() == "invalid_url", to
    site.answer = lambda *_: (302, b"", [("Location", "/a")])
    assert await fails() == "too_many_redirects"


@pytest.mark.parametrize(
    ("status", "method", "then", "keeps_body"),
    [(303, "POST", "GET", False), (302, "POST", "GET", False), (307, "POST", "POST", True), (308, "PUT", "PUT", True)],
)
async def test_redirected_methods(fetch, site, status, method, then, keeps_body):
    site.answer = lambda m, path, *_: (status, b"", [("Location", "/b")]) if path == "/a" else (200, {})
    await fetch("/a", config={"methods": WRITES}, method=method, json=1)
    assert site.asked[1][0] == then
    assert (site.asked[1][3] == b"1") == keeps_body


async def test_a_redirect_changes_to_no_forbidden_method(fails, site):
    site.answer = lambda *_: (303, b"", [("Location", "/b")])
    assert await fails(config={"methods": ["POST"]}, method="POST", json=1) == "method_not_allowed"
    assert len(site.asked) == 1


async def test_a_credential_is_for_one_origin(ask, site, monkeypatch):
    seen = []

    async def exchange(request, addresses, **_):
        seen.append((request.target.url, request.headers.get("Authorization")))
        headers = {"location": "https://b.example.org/"} if len(seen) == 1 else {}
        return Reply(status=302, headers=headers, body=b"", truncated=False)

    async def addresses_of(target, **_):
        return ["1.1.1.1"]

    monkeypatch.setattr("clew.tools.builtin.http_request.exchange", exchange)
    monkeypatch.setattr("clew.tools.builtin.http_request.addresses_of", addresses_of)
    config = {"hosts": ["a.example.org", "b.example.org"], "credential": "key"}
    result = await ask("http_request", config, {"url": "https://a.example.org/"})
    assert result["status"] == 302
    assert seen == [
        ("https://a.example.org/", "Bearer s3cret-token-of-a-test"),
        ("https://b.example.org/", None),
    ]
