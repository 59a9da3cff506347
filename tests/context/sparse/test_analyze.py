"""Text to terms: words, identifiers, other scripts, and input that means harm."""

from time import process_time
from typing import Literal
from unicodedata import combining, normalize

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


MARKS = ["\u0301\u0316", "\u0f73", "\uff9e\u0316", "\u0344", "\u3099", "\u0316\ufe0f\u0301"]


@pytest.mark.parametrize("marks", MARKS)
def test_marks_are_put_in_order_a_few_at_a_time(marks: str, monkeypatch: pytest.MonkeyPatch) -> None:
    most = 0

    def looking(form: Literal["NFC", "NFD", "NFKC", "NFKD"], text: str) -> str:
        nonlocal most
        run = 0
        for sign in text:
            run = run + 1 if combining(normalize("NFKD", sign)[0]) else 0
            most = max(most, run)
        return normalize(form, text)

    monkeypatch.setattr(analyze, "normalize", looking)
    assert words(f"a{marks * 5000} pump")[-1] == "pump"
    assert most <= 30


@given(st.text(st.characters(exclude_categories=["Cs"])), st.sampled_from(MARKS), st.integers(0, 12))
def test_no_text_of_a_language_is_cut(text: str, marks: str, count: int) -> None:
    text += marks * count
    assert analyze._normal(text) == normalize("NFKC", text)


@pytest.mark.parametrize("sign", ["㎏", "—", "😀", "\u3000", "ｶﾞ", "\u0301a", "कि"])
def test_what_is_no_mark_may_stand_in_a_row(sign: str) -> None:
    assert analyze._normal(sign * 500) == normalize("NFKC", sign * 500)


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
