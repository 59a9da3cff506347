"""Turns as documents: what is read of them, and when the older ones are folded."""

import contextlib
import itertools
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from clew.context import turns
from clew.context.collection import Collection
from clew.context.conversation import Turn, fold
from clew.context.log.jsonl import JsonlLog
from clew.context.log.port import Bounds as Kept
from clew.context.log.sqlite import SqliteLog
from clew.context.turns import DIGEST, HEIR, TURN, Bounds, Summarised, added, recall, summarise
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


# -- retention ---------------------------------------------------------------------------------------------------------


@pytest.fixture(params=[SqliteLog, JsonlLog])
def bounded(request, tmp_path, ticking):
    """Opens the same collection again and again, as other processes do."""
    with contextlib.ExitStack() as stack:

        def open_(**bounds):
            log = request.param.open(tmp_path / "truth", Kept(**bounds, heir=HEIR))
            return stack.enter_context(Collection(log, None, now=ticking))

        yield open_


def told(n, role="user", text="We decided that rule {n} holds."):
    return Put(id=f"t{n:04}", text=text.format(n=n), metadata={"kind": TURN, "role": role})


def decided(collection):
    """What each decision says, when all that is said is condensed."""
    return [
        one.text for one in recall(collection, Bounds(keep_turns=0, summarise_after=0, max_tokens=100_000)).decisions
    ]


ALL = [f"We decided that rule {n} holds." for n in range(30)]


@pytest.mark.parametrize(
    "bounds",
    [{"max_items": 1}, {"max_items": 2}, {"max_items": 3}, {"max_items": 8}, {"max_age": 9}, {"max_size": 300}],
    ids=str,
)
def test_retention_takes_turns_and_leaves_what_was_decided(bounded, bounds):
    """By two processes in turn; between them stand other documents, and openings."""
    writers = bounded(**bounds), bounded(**bounds)
    for n in range(30):
        writers[n % 2].write([told(n)])
        added(writers[n % 2], "run:1/k")
        writers[n % 3 == 0].write([Put(id="other", text=f"Version {n}.")])
        if n % 10 == 5:
            bounded(**bounds).tend()
    collection = bounded(**bounds)
    assert decided(collection) == ALL
    assert collection.log.count() <= bounds.get("max_items", 12) + 1
    assert recall(collection, Bounds()).forgotten == 0


def test_retention_of_all_turns_at_once(bounded, ticking):
    bounded().write([told(n) for n in range(30)])
    ticking.ms += 100_000
    collection = bounded(max_age=1000)
    assert (decided(collection), list(collection.log.ids())) == (ALL, [DIGEST])
    digest = collection.get(DIGEST)
    ticking.ms += 100_000
    assert bounded(max_age=1000).get(DIGEST) == digest, "what was decided stays, however old it is"


def test_the_digest_is_not_written_at_every_turn(bounded):
    collection = bounded(max_items=6)
    for n in range(30):
        collection.write([told(n)])
    assert collection.get(DIGEST).version == 6
    assert decided(collection) == ALL


def test_an_answer_whose_question_is_gone(bounded):
    collection = bounded(max_items=1)
    collection.write([told(1, "assistant", "Ship on Friday?")])
    collection.write([Put(id="other", text="Something else.")])
    collection.write([told(2, text="Yes.")])
    assert decided(collection) == ["Ship on Friday? Yes."]
    collection.write([told(3, text="Yes, it rains.")])
    assert decided(collection) == ["Ship on Friday? Yes."]


def test_an_agents_summary_outlasts_its_turns(bounded):
    collection = bounded(max_items=8)
    collection.write([told(n) for n in range(6)])
    due = added(collection, "run:1/k", BOUNDS)
    summarise(collection, Summarised(base=due.base, upto=due.upto, by="clerk", points=SAID), "run:1/s")
    digest = collection.get(DIGEST)
    collection.write([told(n) for n in range(6, 12)])
    assert collection.get(DIGEST) == digest, "it stands for those that went"
    collection.write([told(n) for n in range(12, 30)])
    assert decided(collection) == ALL
    assert collection.get(DIGEST).text.startswith("\n".join(SAID))


def test_a_kill_in_the_middle_of_a_write_that_folds(tmp_path, ticking, monkeypatch):
    monkeypatch.setattr(os, "fdatasync", lambda _: None)
    path = tmp_path / "truth"

    def opened():
        return Collection(JsonlLog.open(path, Kept(max_items=4, heir=HEIR)), None, now=ticking)

    with opened() as collection:
        collection.write([told(n) for n in range(4)])
        start = path.stat().st_size
        collection.write([told(4), told(5)])
        assert collection.get(DIGEST) is not None
    whole = path.read_bytes()
    for end in {*range(start, len(whole), 50), len(whole) - 1, len(whole)}:
        path.write_bytes(whole[:end])
        there = 6 if end == len(whole) else 4
        with opened() as collection:
            assert decided(collection) == ALL[:there]
            collection.write([told(n) for n in range(there, 12)])
            assert decided(collection) == ALL[:12]


SAYINGS = st.sampled_from([
    ("user", "We decided that rule {n} holds."), ("assistant", "Shall rule {n} go?"), ("user", "Yes."), ("user", "It rains {n}."),
    ("assistant", "I agreed on rule {n}."), ("other", "A note {n}, of some length."), ("fold", ""), ("tend", ""),
])  # fmt: skip
KEPT = st.one_of(
    st.builds(Kept, max_items=st.integers(1, 9)), st.builds(Kept, max_age=st.integers(1, 30)),
    st.builds(Kept, max_size=st.integers(100, 900)),
)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(KEPT, st.lists(SAYINGS, max_size=40))
def test_whatever_is_said_and_whatever_is_kept(bounds, sayings):
    """As if nothing had been removed, and in one go."""
    clock, said = itertools.count(1000), list[Turn]()
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fdatasync", lambda _: None)
        log = JsonlLog.open(Path(folder) / "truth", structs.replace(bounds, heir=HEIR))
        with Collection(log, None, now=lambda: next(clock)) as collection:
            for n, (who, text) in enumerate(sayings):
                if who == "fold":
                    added(collection, "run:1/k")
                elif who == "tend":
                    collection.tend()
                elif who == "other":
                    collection.write([Put(id=f"o{n}", text=text.format(n=n))])
                else:
                    collection.write([told(n, who, text)])
                    said.append(Turn(n=len(said) + 1, role=who, text=text.format(n=n)))
            assert decided(collection) == ([one.text for one in fold(said).decisions] if said else [])
