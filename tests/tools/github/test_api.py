import pytest

from clew.core.errors import Failure, UsageError
from clew.tools.github.api import Api, base_of, mark_of, unmarked

DATE = "Sun, 22 Nov 2026 12:00:00 GMT"
RESET = 1795348890
"""A minute and a half later."""


@pytest.fixture
def api(site):
    return Api(base_of("t", site.url), "token")


async def failure_of(awaitable):
    with pytest.raises(Failure) as caught:
        await awaitable
    return caught.value


async def test_what_is_sent(site, api):
    site.answer = lambda *_: (200, {"a": 1})
    assert await api.rest("POST", "/x", {"b": 2}, q="1 2", left=None) == {"a": 1}
    method, path, headers, body = site.asked[0]
    assert (method, path, body) == ("POST", "/x?q=1+2", b'{"b":2}')
    assert headers["authorization"] == "Bearer token"
    assert headers["accept"] == "application/vnd.github+json"
    assert headers["x-github-api-version"] == "2022-11-28"
    assert headers["user-agent"].startswith("clew/")


@pytest.mark.parametrize(
    ("status", "headers", "message", "code", "wait"),
    [
        (401, {}, "Bad credentials", "unauthorised", None),
        (403, {}, "Resource not accessible by personal access token", "forbidden", None),
        (404, {}, "Not Found", "not_found", None),
        (410, {}, "Issues are disabled for this repo", "gone", None),
        (500, {}, "", "github_error", None),
        (403, {"X-RateLimit-Remaining": 0, "X-RateLimit-Reset": RESET, "Date": DATE}, "API rate limit", "rate_limited", 90_000),
        (429, {"Retry-After": 7}, "slow down", "rate_limited", 7000),
        (403, {}, "You have exceeded a secondary rate limit.", "rate_limited", 60_000),
        (429, {"X-RateLimit-Reset": 1, "Date": DATE}, "", "rate_limited", 1000),
        (429, {"X-RateLimit-Reset": "soon", "Date": DATE}, "", "rate_limited", 60_000),
        (429, {"Retry-After": "9" * 30}, "", "rate_limited", 86_400_000),
    ],
)  # fmt: skip
async def test_refusals(site, api, status, headers, message, code, wait):
    site.answer = lambda *_: (status, {"message": message}, list(headers.items()))
    failure = await failure_of(api.rest("GET", "/x"))
    assert failure.code == code
    assert message in str(failure)
    if wait is not None:
        assert failure.details == {"retry_after_ms": wait}


async def test_reasons_of_a_refusal(site, api):
    errors = [{"resource": "Issue", "field": "title", "code": "missing_field"}, "other", {"message": "whole"}]
    site.answer = lambda *_: (422, {"message": "Validation Failed", "errors": errors})
    failure = await failure_of(api.rest("POST", "/x", {}))
    assert failure.code == "refused"
    assert failure.details == errors
    assert "(title missing_field; other; whole)" in str(failure)


@pytest.mark.parametrize("body", [b"<html>", b"[1]", b'{"errors": 1}', b"[" * 50_000])
async def test_refusals_that_say_nothing(site, api, body):
    site.answer = lambda *_: (502, body)
    assert (await failure_of(api.rest("GET", "/x"))).code == "github_error"
    site.answer = lambda *_: (200, b"<html>")
    assert (await failure_of(api.rest("GET", "/x"))).code == "github_error"


async def test_too_long(site, api, monkeypatch):
    monkeypatch.setattr("clew.tools.github.api._LIMIT", 10)
    site.answer = lambda *_: (200, ["x" * 100])
    assert (await failure_of(api.rest("GET", "/x"))).code == "github_error"


async def test_renamed(site, api):
    site.answer = lambda m, path, *_: (
        (307, b"", [("Location", "/new")]) if path == "/old" else (200, {"at": path, "by": m})
    )
    assert await api.rest("PATCH", "/old", {}) == {"at": "/new", "by": "PATCH"}
    site.answer = lambda *_: (301, b"", [("Location", "/old")])
    assert (await failure_of(api.rest("GET", "/old"))).code == "github_error"


async def test_the_token_stays_with_its_server(site, api):
    site.answer = lambda *_: (301, b"", [("Location", "http://localhost:1/")])
    assert "another server" in str(await failure_of(api.rest("GET", "/x")))
    site.answer = lambda *_: (200, [1], [("Link", '<https://evil.example/>; rel="next"')])

    async def read():
        return [page async for page in api.pages("/x")]

    assert "another server" in str(await failure_of(read()))
    assert len(site.asked) == 2


async def test_pages(site, api):
    def answer(method, path, *_):
        links = f'<{site.url}/x?page=9>; rel="last", <{site.url}/x?page=2>; rel="next"'
        return (
            (200, [1], [("Link", links)])
            if "page=2" not in path
            else (200, [2], [("Link", f'<{site.url}/x>; rel="prev"')])
        )

    site.answer = answer
    assert [page async for page in api.pages("/x", state="all")] == [[1], [2]]
    assert site.asked[0][1] == "/x?per_page=100&state=all"


@pytest.mark.parametrize(
    ("base", "path"), [("", "/graphql"), ("/api/v3", "/api/graphql"), ("/api/v3/", "/api/graphql")]
)
async def test_where_graphql_is(site, base, path):
    site.answer = lambda *_: (200, {"data": {"a": 1}})
    assert await Api(base_of("t", site.url + base), "token").graphql("query", n=1) == {"a": 1}
    assert site.asked[0][1] == path


@pytest.mark.parametrize(
    ("kind", "code"),
    [("NOT_FOUND", "not_found"), ("FORBIDDEN", "forbidden"),
     ("INSUFFICIENT_SCOPES", "forbidden"), ("RATE_LIMITED", "rate_limited"), (None, "refused")],
)  # fmt: skip
async def test_graphql_errors_come_with_status_200(site, api, kind, code):
    site.answer = lambda *_: (200, {"data": None, "errors": [{"type": kind, "message": "why"}]})
    failure = await failure_of(api.graphql("query"))
    assert failure.code == code
    assert "why" in str(failure)


@pytest.mark.parametrize("url", ["http://example.org", "ftp://x", "https://u:p@example.org", ""])
def test_bases(url):
    with pytest.raises(UsageError, match="base_url"):
        base_of("t", url)


def test_marks():
    assert mark_of("run:a") == mark_of("run:a") != mark_of("run:b")
    assert "run" not in mark_of("run:a")
    assert unmarked(f"text\n\n{mark_of('k')}") == "text"
