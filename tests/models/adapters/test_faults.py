import httpx2
import pytest
from pydantic_ai.exceptions import ModelAPIError, ModelHTTPError, UnexpectedModelBehavior, UserError

from clew.gate.ports.model import FAULTS
from clew.models.adapters.faults import CATEGORIES, failure_of
from clew.models.adapters.wire import Exchange


def test_every_code_is_known():
    assert set(CATEGORIES.values()) <= set(FAULTS)


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (ModelHTTPError(418, "m"), 418, "invalid_request"),
        (ModelHTTPError(599, "m"), 599, "provider_error"),
        (ModelAPIError("m", "odd", in_stream=True), 200, "provider_error"),
        (ModelAPIError("m", "odd"), 200, "bad_answer"),
        (UnexpectedModelBehavior("odd"), None, "bad_answer"),
        (UserError("odd"), None, "invalid_request"),
        (httpx2.ReadTimeout("slow"), 200, "provider_timeout"),
        (httpx2.ConnectError("no"), None, "provider_unreachable"),
        (httpx2.ReadError("no"), 200, "bad_answer"),
        (KeyError("odd"), 200, "bad_answer"),
    ],
)
def test_codes(error, status, code):
    assert failure_of(error, "house", Exchange(None, status)).code == code


def test_a_mistake_before_the_request_is_not_the_providers():
    with pytest.raises(KeyError):
        failure_of(KeyError("ours"), "house", Exchange(None))


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ({"error": {"message": "why"}}, "why"),
        ({"error": "why"}, "why"),
        ({"message": "why"}, "why"),
        ("why\n  not", "why not"),
        ({"error": {"message": {"message": {"message": 1}}}}, "no reason given"),
        (None, "no reason given"),
        (b"why", "no reason given"),
    ],
)
def test_the_providers_own_words(body, shown):
    failure = failure_of(ModelHTTPError(400, "m", body), "house", Exchange(None, 400))
    assert str(failure) == f"provider house: 400: {shown}"


def test_words_are_bounded_and_free_of_the_key():
    body = {"error": {"message": "hidd3n-key " * 500}}
    text = str(failure_of(ModelHTTPError(400, "m", body), "house", Exchange("hidd3n-key", 400)))
    assert "hidd3n-key" not in text
    assert len(text) < 600
