"""Conversation memory: what stays word for word, what is decided, what is condensed."""

import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.context import conversation
from clew.context.conversation import Summary, Turn, remember, sentences


def turns(n, **extra):
    return [
        Turn(n=i, role="user" if i % 2 else "assistant", text=f"Turn {i} speaks of topic {i % 5}.", **extra)
        for i in range(1, n + 1)
    ]


def test_a_short_conversation_stays_as_it_is():
    memory = remember(turns(20))
    assert memory.turns == tuple(turns(20))
    assert memory.summary == ""
    assert memory.tokens == memory.tokens_before


def test_the_last_turns_are_kept_word_for_word():
    memory = remember(turns(21))
    assert [turn.n for turn in memory.turns] == list(range(12, 22))
    assert memory.summary


def test_decisions_are_kept_as_they_were_made():
    told = turns(40)
    told[3] = Turn(n=4, role="assistant", text="Let me think. We decided to use SQLite for the log. Is that fine?")
    told[4] = Turn(n=5, role="user", text="Why not. What is next?")
    told[7] = Turn(n=8, role="user", text="Ship on Friday", decision=True)
    told[9] = Turn(n=10, role="user", text="Should we use Redis? Never mind")
    memory = remember(told)
    assert [(d.n, d.text) for d in memory.decisions] == [
        (4, "We decided to use SQLite for the log."), (5, "Is that fine? Why not."), (8, "Ship on Friday"),
    ]  # fmt: skip
    assert "We decided to use SQLite for the log." in memory.text()


@pytest.fixture(scope="module")
def recorded():
    """Sixty turns of two working days; what the user settled is marked."""
    path = Path(__file__).parent / "data" / "conversation.json"
    told = json.loads(path.read_text())["turns"]
    return [msgspec.convert(turn | {"n": n}, Turn) for n, turn in enumerate(told, 1)]


def test_a_recorded_conversation_shrinks_and_keeps_what_was_decided(recorded):
    memory = remember(recorded)
    shown = memory.text()
    assert len(recorded) == 60
    assert memory.tokens <= 0.4 * memory.tokens_before
    assert [turn.n for turn in recorded if turn.decision and turn.text not in shown] == []


def test_decisions_that_nobody_marked(recorded):
    unmarked = [msgspec.structs.replace(turn, decision=False) for turn in recorded]
    decided = {decision.n for decision in remember(unmarked, keep=0).decisions}
    marked = {turn.n for turn in recorded if turn.decision}
    assert len(marked & decided) >= 11  # of 12
    assert len(decided - marked) <= 2


@pytest.mark.parametrize(
    ("text", "decided"),
    [
        ("Make the link valid for an hour.", True),
        ("Fine, the table in Postgres it is then.", True),
        ("We won't support that any more.", True),
        ("Let us cap it at 20 MB.", True),
        ("Never mind.", False),
        ("Please run the tests again.", False),
        ("Shall we keep it?", False),
        ("There were 300 errors last night.", False),
    ],
)
def test_what_sounds_like_a_decision_of_the_user(text, decided):
    told = [*turns(30), Turn(n=31, role="assistant", text="I have looked at it."), Turn(n=32, role="user", text=text)]
    assert [d.n for d in remember(told, keep=0).decisions] == ([32] if decided else [])


def test_a_bound_in_a_report_is_no_decision():
    told = [*turns(30), Turn(n=31, role="assistant", text="The worker stays at 84 MB and never waits.")]
    assert remember(told, keep=0).decisions == ()


def test_a_short_answer_is_told_with_its_question():
    told = [
        *turns(30),
        Turn(n=31, role="assistant", text="It fails. Drop Python 3.8?"),
        Turn(n=32, role="user", text="Yes."),
    ]
    assert [d.text for d in remember(told, keep=0).decisions] == ["Drop Python 3.8? Yes."]


def test_ended_tasks_are_trimmed_to_their_last_words():
    told = turns(40)
    for i in range(5, 15):
        told[i] = Turn(n=i + 1, role="user", text=f"Zebra detail number {i}.", task="t1", done=i == 14)
    told[9] = Turn(n=10, role="user", text="We agreed on zebra stripes.", task="t1")
    memory = remember(told)
    assert memory.trimmed == 9
    assert "Zebra detail number 6" not in memory.text()
    assert "We agreed on zebra stripes." in memory.text()  # decided, though its task has ended


def test_a_summary_that_was_made_stands_for_what_it_covers():
    memory = remember(turns(40), given=Summary(text="They spoke of five topics.", upto=28))
    assert memory.summary.startswith("They spoke of five topics.")
    assert "Turn 3 " not in memory.summary
    assert "Turn 30" in memory.summary


def test_a_turn_of_thousands_of_sentences_is_condensed(monkeypatch):
    looked_at = []

    def counting(*some, **key):
        looked_at.append(len(some[0]) if key else 0)
        return max(*some, **key)

    monkeypatch.setattr(conversation, "max", counting, raising=False)
    text = " ".join(f"Number {i} is about thing {i % 97} and thing {i % 89}." for i in range(3000))
    memory = remember([*turns(20), Turn(n=0, role="user", text=text), *turns(20)])
    assert memory.summary
    assert sum(looked_at) < 500 * 500, "time by the square of a conversation's length"


def test_the_same_is_not_said_twice_in_a_summary():
    told = [Turn(n=i, role="user", text="The pump in hall three leaks.") for i in range(1, 31)]
    told[4] = Turn(n=5, role="user", text="The pump is made by Orion and leaks.")
    summary = remember(told, room=24).summary
    assert summary.count("hall three") == 1
    assert "Orion" in summary


@pytest.mark.parametrize("text", ["", "   ", "?!", "a" * 5000, "no full stop", "One. Two! Three?\nFour"])
def test_sentences_lose_nothing_but_spaces(text):
    assert "".join("".join(sentences(text)).split()) == "".join(text.split())


lines = st.lists(st.text(max_size=80), max_size=45)


@given(lines, st.integers(0, 12), st.integers(0, 25), st.integers(0, 100))
def test_bounds_hold_for_any_conversation(texts, keep, after, room):
    told = [Turn(n=i, role="user", text=text) for i, text in enumerate(texts, 1)]
    memory = remember(told, keep=keep, after=after, room=room)
    assert memory == remember(told, keep=keep, after=after, room=room)
    if len(told) > after:
        assert memory.turns == tuple(told[len(told) - min(keep, len(told)) :])
    else:
        assert memory.turns == tuple(told)
