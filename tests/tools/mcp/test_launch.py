from pathlib import Path

import pytest

from clew.core.errors import Failure
from clew.tools.mcp.launch import Launch, key_of


def test_a_credential_goes_where_it_is_declared(secrets):
    entry = {"command": ["x"], "env": {"A": "1"}, "credential": "token", "credential_env": "T"}
    assert Launch(entry, Path(), secrets).environment() == {"A": "1", "T": "s3cret-token-1234567890"}
    assert Launch({"url": "https://h/", "credential": "token"}, Path(), secrets).environment() == {}
    assert Launch(entry, Path(), secrets).secret is None


@pytest.mark.parametrize(
    "url", ["https://example.org/mcp", "http://127.0.0.1:1/", "http://[::1]/", "http://localhost:8/mcp"]
)
def test_over_http_it_is_sent_where_nobody_can_listen(url, secrets):
    launch = Launch({"url": url, "credential": "token"}, Path(), secrets)
    launch.check()
    assert launch.secret is not None
    assert launch.secret() == "s3cret-token-1234567890"
    assert "s3cret" not in repr(launch.secret)


@pytest.mark.parametrize("url", ["http://example.org/", "http://10.0.0.1/", "http://localhost.example.org/"])
def test_it_is_not_sent_unencrypted(url, secrets):
    with pytest.raises(Failure, match="https") as caught:
        Launch({"url": url, "credential": "token"}, Path(), secrets).check()
    assert caught.value.code == "no_credential"


def test_nothing_declared_nothing_given(secrets):
    assert Launch({"url": "http://h/"}, Path(), secrets).secret is None
    Launch({"url": "http://h/"}, Path(), secrets).check()


def test_the_order_of_keys_makes_no_other_server():
    assert key_of({"command": ["a"], "env": {"x": "1", "y": "2"}}) == key_of(
        {"env": {"y": "2", "x": "1"}, "command": ["a"]}
    )
    assert key_of({"command": ["a"]}) != key_of({"command": ["b"]})
