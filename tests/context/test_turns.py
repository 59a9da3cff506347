"""Turns as documents: what is read of them, and when the older ones are folded."""

import pytest

from clew.context import turns
from clew.context.conversation import fold
from clew.context.turns import DIGEST, TURN, Bounds, Summarised, added, recall, summarise
from clew.gate.ports.context import Put, Remove


@pytest.fixture
def speak(collection):
    def add(*numbers, **told):
        made = [Put(id=f"t{n:04}", text=f"Turn {n}.", metadata={"kind": TURN, "role": "user"} | told) for n in numbers]
        collection.write(made)
        added(collection, "run:1/k")

    return add


def said(collection):
    """The turns that are shown word for word where all may be, and how many a digest stands for."""
    memory = recall(collection, Bounds(keep_turns=400, summarise_after=0, max_tokens=100_000))
    return memory.turns, memory.summarised


@pytest.fixture(autouse=True)
def _few(monkeypatch):
    monkeypatch.setattr(turns, "_FOLD_AT", 8)
    monkeypatch.setattr(turns, "_LEFT", 4)


def test_few_turns_are_read_as_they_are(collection, speak):
    speak(1, task="a", done=True)
    speak(2, decision=True)
    told, count = said(collection)
    assert [(one.n, one.text, one.task, one.done, one.decision) for one in told] == [
        (1, "Turn 1.", "a", True, False), (2, "Turn 2.", "", False, True),
    ]  # fmt: skip
    assert count == 0
    assert collection.get(DIGEST) is None


def test_many_turns_are_folded_once_for_some(collection, speak):
    for n in range(1, 21):
        speak(n)
    told, count = said(collection)
    assert [one.n for one in told] == list(range(1, 21)), "those for which it stands are there all the same"
    assert 4 <= 20 - count < 8
    digest = collection.get(DIGEST)
    assert digest.origin == "run:1/k/digest"
    assert digest.version == 4, "not at every turn"


def test_a_digest_that_was_removed_is_made_of_all_turns(collection, speak):
    speak(*range(1, 21))
    collection.write([Remove(id=DIGEST)])
    assert said(collection)[1] == 0
    speak(21)
    assert said(collection)[1] == 17


def test_whoever_folds_second_changes_nothing(collection, speak, monkeypatch):
    fold = turns.fold

    def raced(*given):
        monkeypatch.setattr(turns, "fold", fold)
        added(collection, "run:2/k")
        return fold(*given)

    monkeypatch.setattr(turns, "fold", raced)
    speak(*range(1, 9))
    assert collection.get(DIGEST).origin == "run:2/k/digest"
    assert collection.get(DIGEST).version == 1


BOUNDS = Bounds(keep_turns=2, summarise_after=4)
SAID = ("It was about numbers.", "All of them are small.")


@pytest.fixture
def ask(collection, speak):
    """What is due after these turns, by a run of this number."""

    def due(*numbers, run=2, bounds=BOUNDS, **told):
        speak(*numbers, **told)
        return added(collection, f"run:{run}/k", bounds)

    return due


@pytest.fixture
def answer(collection):
    def give(due, *points, run=2, **told):
        asked = Summarised(base=due.base, upto=due.upto, by="clerk", points=points or SAID, **told)
        return summarise(collection, asked, f"run:{run}/s")

    return give


def test_a_summary_is_due_once_for_some_turns(collection, ask, answer):
    assert ask(1, 2, 3, 4) is None
    due = ask(5)
    assert [one["turn"] for one in due.material["turns"]] == [1, 2, 3]
    assert ask(run=3) is None, "somebody is asked"
    assert answer(due) == {"by": "clerk", "points": 2}
    assert ask(6, 7) is None
    memory = recall(collection, BOUNDS)
    assert (memory.summarised, memory.by) == (3, "clerk")
    assert memory.summary.startswith("\n".join(SAID))
    assert "user: Turn 5." in memory.summary, "what came later is condensed"
    assert [one.n for one in memory.turns] == [6, 7]
    assert ask(8).material["summary"] == list(SAID)


def test_decisions_stand_beside_a_summary(collection, ask, answer):
    collection.write([
        Put(id="t0001", text="Ship on Friday?", metadata={"kind": TURN, "role": "assistant"}),
        Put(id="t0002", text="Yes.", metadata={"kind": TURN, "role": "user"}),
    ])  # fmt: skip
    due = ask(3, 4, decision=True)
    assert due is None
    due = ask(5)
    assert due.material["decided"] == ["Ship on Friday? Yes.", "Turn 3."]
    answer(due)
    memory = recall(collection, BOUNDS)
    assert [(one.n, one.text) for one in memory.decisions] == [(2, "Ship on Friday? Yes."), (3, "Turn 3.")]


def test_an_answer_to_a_question_for_which_a_summary_stands(collection, speak, ask, answer):
    speak(1, 2)
    collection.write([
        Put(id="t0003", text="Ship on Friday?", metadata={"kind": TURN, "role": "assistant"}),
        Put(id="t0004", text="Yes.", metadata={"kind": TURN, "role": "user"}),
    ])  # fmt: skip
    answer(ask(5))
    due = ask(6, 7, 8)
    assert due.material["decided"] == ["Ship on Friday? Yes."]
    answer(due, run=7)
    assert [(one.n, one.text) for one in recall(collection, BOUNDS).decisions] == [(4, "Ship on Friday? Yes.")]


def test_what_was_asked_for_before_a_crash_is_due_again(ask):
    due = ask(1, 2, 3, 4, 5)
    assert ask() == due
    assert ask(6) == due
    assert ask(run=4) is None


def test_a_turn_that_was_written_meanwhile_is_not_lost(collection, speak, ask, answer):
    due = ask(1, 2, 3, 4, 5)
    collection.write([Put(id="t0001", text="Turn 1, once more.", metadata={"kind": TURN, "role": "user"})])
    speak(6)
    assert answer(due)["points"] == 2
    memory = recall(collection, Bounds(keep_turns=4, summarise_after=4))
    assert [one.text for one in memory.turns] == ["Turn 4.", "Turn 5.", "Turn 1, once more.", "Turn 6."]
    assert memory.summarised == 2


def test_a_summary_changes_nothing_where_others_folded_meanwhile(collection, speak, ask, answer):
    due = ask(1, 2, 3, 4, 5)
    speak(*range(6, 20))
    there = collection.get(DIGEST)
    assert there.metadata["turns"] > 0
    assert answer(due)["code"] == "conflict"
    assert collection.get(DIGEST) == there


def test_a_summary_of_turns_that_are_gone_is_none(collection, ask, answer):
    due = ask(1, 2, 3, 4, 5)
    collection.write([Remove(id=f"t{n:04}") for n in range(1, 6)])
    assert answer(due)["code"] == "conflict"


def test_another_writer_between_reading_and_writing(collection, ask, answer, monkeypatch):
    due = ask(1, 2, 3, 4, 5)

    def raced(*given):
        monkeypatch.setattr(turns, "fold", fold)
        assert ask(6, 7, 8, 9, 10, run=3) is None, "it is folded"
        return fold(*given)

    monkeypatch.setattr(turns, "_FOLD_AT", 100)
    assert ask(6, 7, run=5) is None
    monkeypatch.setattr(turns, "fold", raced)
    monkeypatch.setattr(turns, "_FOLD_AT", 8)
    assert answer(due)["code"] == "conflict"


def test_an_agents_digest_is_folded_like_any_other(collection, speak, ask, answer):
    answer(ask(1, 2, 3, 4, 5))
    speak(*range(6, 30))
    digest = collection.get(DIGEST)
    assert digest.metadata["turns"] > 3
    assert "by" not in digest.metadata
    assert digest.text.startswith("\n".join(SAID))


def test_a_repeated_store_is_the_first_one(collection, ask, answer):
    due = ask(1, 2, 3, 4, 5)
    assert answer(due) == answer(due)
    assert collection.get(DIGEST).version == 2


def test_a_digest_that_was_removed_is_asked_for_anew(collection, ask, answer):
    answer(ask(1, 2, 3, 4, 5))
    collection.write([Remove(id=DIGEST)])
    due = ask(6)
    assert [one["turn"] for one in due.material["turns"]] == [1, 2, 3, 4]


def test_what_cannot_be_read_is_no_digest(collection, ask):
    collection.write([Put(id=DIGEST, text="Obey.", metadata={"kind": "digest", "place": "x"}, origin="run:9/s/digest")])
    assert ask(1, 2, 3, 4, 5).material["summary"] == []
    assert recall(collection, BOUNDS).summarised == 0
