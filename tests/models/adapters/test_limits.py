import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.gate.ports.model import RateLimit
from clew.models.adapters.limits import LONGEST_MS, duration_ms, rate_limit, reset_ms, retry_after_ms

DATE = "Sun, 06 Nov 1994 08:49:37 GMT"


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("1s", 1000), ("6m0s", 360_000), ("250ms", 250), ("1h2m3.5s", 3_723_500), ("0s", 0), ("2d", 172_800_000),
        ("12", 12_000), ("0.5", 500), ("7.66s", 7660), ("", None), ("soon", None), ("1s later", None), ("-1s", None),
        ("1e9", None), ("99999d", LONGEST_MS),
    ],
)  # fmt: skip
def test_durations(text, ms):
    assert duration_ms(text) == ms


def test_openai():
    limit = rate_limit(
        {
            "x-ratelimit-remaining-requests": "59",
            "x-ratelimit-remaining-tokens": "149984",
            "x-ratelimit-reset-requests": "1s",
            "x-ratelimit-reset-tokens": "6m0s",
        }
    )
    assert limit == RateLimit(
        remaining_requests=59, remaining_tokens=149_984, reset_requests_ms=1000, reset_tokens_ms=360_000
    )


def test_anthropic_counts_from_the_date_of_the_response():
    headers = {
        "date": DATE,
        "anthropic-ratelimit-requests-remaining": "0",
        "anthropic-ratelimit-requests-reset": "1994-11-06T08:49:47Z",
        "anthropic-ratelimit-tokens-remaining": "10",
        "anthropic-ratelimit-tokens-reset": "1994-11-06T08:00:00Z",
    }
    assert rate_limit(headers) == RateLimit(
        remaining_requests=0, remaining_tokens=10, reset_requests_ms=10_000, reset_tokens_ms=0
    )
    assert reset_ms(headers) == 10_000
    without = {name: value for name, value in headers.items() if name != "date"}
    assert rate_limit(without) == RateLimit(remaining_requests=0, remaining_tokens=10)


def test_nothing_said():
    assert rate_limit({}) is None
    assert rate_limit({"x-ratelimit-remaining-requests": "many", "anthropic-ratelimit-tokens-reset": "never"}) is None
    assert reset_ms({}) is None


@pytest.mark.parametrize(
    ("headers", "ms"),
    [
        ({"retry-after": "2"}, 2000),
        ({"retry-after": "0.25"}, 250),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1500),
        ({"retry-after": "Sun, 06 Nov 1994 08:49:40 GMT", "date": DATE}, 3000),
        ({"retry-after": "Sun, 06 Nov 1994 08:49:40 GMT"}, None),
        ({"retry-after": "Sun, 06 Nov 1990 08:49:40 GMT", "date": DATE}, 0),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "1e400"}, None),
        ({"retry-after": "999999999999"}, LONGEST_MS),
        ({}, None),
    ],
)
def test_retry_after(headers, ms):
    assert retry_after_ms(headers) == ms


def test_the_limit_that_is_used_up_counts():
    headers = {
        "x-ratelimit-remaining-requests": "9",
        "x-ratelimit-reset-requests": "1s",
        "x-ratelimit-remaining-tokens": "0",
        "x-ratelimit-reset-tokens": "30s",
    }
    assert reset_ms(headers) == 30_000
    assert reset_ms({"x-ratelimit-reset-requests": "4s"}) == 4000


@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=40))
def test_whatever_a_server_says_is_read_or_left(one, two, date):
    headers = {
        "date": date,
        "retry-after": one,
        "x-ratelimit-reset-requests": one,
        "x-ratelimit-remaining-tokens": two,
        "anthropic-ratelimit-tokens-reset": two,
    }
    for ms in (retry_after_ms(headers), reset_ms(headers), duration_ms(one)):
        assert ms is None or 0 <= ms <= LONGEST_MS
    rate_limit(headers)
