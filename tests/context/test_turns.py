"""Turns as documents: what is read of them, and when the older ones are folded."""

import pytest

from clew.context import turns
from clew.context.turns import DIGEST, TURN, fold_turns, said
from clew.gate.ports.context import Put, Remove


@pytest.fixture
def speak(collection):
    def add(*numbers, **told):
        made = [Put(id=f"t{n:04}", text=f"Turn {n}.", metadata={"kind": TURN, "role": "user"} | told) for n in numbers]
        collection.write(made)
        fold_turns(collection, "run:1/k")

    return add


@pytest.fixture(autouse=True)
def _few(monkeypatch):
    monkeypatch.setattr(turns, "_FOLD_AT", 8)
    monkeypatch.setattr(turns, "_LEFT", 4)


def test_few_turns_are_read_as_they_are(collection, speak):
    speak(1, task="a", done=True)
    speak(2, decision=True)
    told, given = said(collection)
    assert [(one.n, one.text, one.task, one.done, one.decision) for one in told] == [
        (1, "Turn 1.", "a", True, False), (2, "Turn 2.", "", False, True),
    ]  # fmt: skip
    assert given is None
    assert collection.get(DIGEST) is None


def test_many_turns_are_folded_once_for_some(collection, speak):
    for n in range(1, 21):
        speak(n)
    told, given = said(collection)
    assert given.upto + len(told) == 20
    assert [one.n for one in told] == list(range(given.upto + 1, 21))
    assert 4 <= len(told) < 8
    digest = collection.get(DIGEST)
    assert digest.origin == "run:1/k/digest"
    assert digest.version == 4, "not at every turn"


def test_a_digest_that_was_removed_is_made_of_all_turns(collection, speak):
    speak(*range(1, 21))
    collection.write([Remove(id=DIGEST)])
    assert said(collection)[1] is None
    speak(21)
    assert said(collection)[1].upto == 17


def test_whoever_folds_second_changes_nothing(collection, speak, monkeypatch):
    fold = turns.fold

    def raced(*given):
        monkeypatch.setattr(turns, "fold", fold)
        fold_turns(collection, "run:2/k")
        return fold(*given)

    monkeypatch.setattr(turns, "fold", raced)
    speak(*range(1, 9))
    assert collection.get(DIGEST).origin == "run:2/k/digest"
    assert collection.get(DIGEST).version == 1
