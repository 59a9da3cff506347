"""Conversation memory: what stays word for word, what is decided, what is condensed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    told[7] = Turn(n=8, role="user", text="Ship on Friday", decision=True)
    told[9] = Turn(n=10, role="user", text="Should we use Redis? Never mind")
    memory = remember(told)
    assert [(d.n, d.text) for d in memory.decisions] == [
        (4, "We decided to use SQLite for the log."), (8, "Ship on Friday"), (10, "Never mind"),
    ]  # fmt: skip
    assert "We decided to use SQLite for the log." in memory.text()


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
