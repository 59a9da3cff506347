"""Text to terms: words, identifiers, other scripts, and input that means harm."""

from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.context.sparse import analyze
from clew.context.sparse.analyze import LONGEST, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello, World. Hello!", ["hello", "world", "hello"]),
        ("running runs RUNS", ["run", "run", "run"]),
        ("this was does", ["this", "was", "doe"]),
        ("the dog's don't", ["the", "dog", "dont"]),
        ("parseHTTPResponse", ["parsehttprespons", "pars", "http", "respons"]),
        ("max_retry_count", ["max_retry_count", "max", "retri", "count"]),
        ("os.path.join", ["os.path.join", "os", "path", "join"]),
        ("__init__ _x", ["init", "x"]),
        ("3.14 2024 utf8", ["3.14", "3", "14", "2024", "utf8"]),
        ("東京都 a", ["東京", "京都", "a"]),
        ("水", ["水"]),
        ("한국어", ["한국", "국어"]),
        ("Straße ﬁne Ⅳ ÀÉ", ["strass", "fine", "iv", "àé"]),
        ("x\ud800y", ["x", "y"]),
        ("\x00 \x07 ... ' _ -- .", []),
        ("", []),
    ],
)
def test_terms(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def test_an_identifier_is_found_by_its_parts_and_a_word_by_its_other_forms() -> None:
    assert set(words("count retries")) <= set(words("self.maxRetryCount"))


@pytest.mark.parametrize("piece", ["a", "A", "aA", "a_", "a.", ".", "'", "a'", "\x00", "\ud800", "日", "é", "Aé", "ﬁ"])
def test_much_of_one_thing_takes_linear_time_and_gives_bounded_terms(piece: str) -> None:
    began = process_time()
    found = words(piece * (2**18 // len(piece)))
    assert process_time() - began < 10
    assert max(map(len, found), default=0) <= LONGEST


@given(st.text())
def test_any_text_has_terms_that_are_its_own_whatever_is_remembered(text: str) -> None:
    found = words(text)
    analyze._cache.clear()
    assert words(text) == found
    assert all(found)


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(analyze, "_CACHED", 100)
    for i in range(1000):
        words(f"word{i}")
    assert len(analyze._cache) <= 101
