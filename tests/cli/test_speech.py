"""What a terminal shows of models that are speaking."""

import io

import pytest

from clew.cli.speech import Speech
from clew.cli.terminal import Paper
from clew.gate.ports.stream import Chunk


@pytest.fixture
def paper(monkeypatch):
    monkeypatch.setattr("sys.stderr", io.TextIOWrapper(io.BytesIO(), encoding="utf-8"))
    return Paper(stderr=True)


@pytest.fixture
def said(paper):
    """``said(chunks, task)``: the lines, 20 cells wide, at most 3."""

    def lines(chunks, task="0", width=20):
        speech = Speech("r1")
        for one in chunks:
            speech.take(one)
        return [line.plain for line in speech.lines(task, paper, width, 3)]

    return lines


def chunk(text="", kind="text", run="r1", key="k", task="0"):
    return Chunk(run=run, task=task, node="a", key=key, kind=kind, text=text)


def test_the_last_lines_are_shown_wrapped_at_words(said):
    words = [chunk(f"word{n} ") for n in range(30)]
    assert said(words) == ["word21 word22 word23", "word24 word25 word26", "word27 word28 word29"]
    assert said([chunk("one\n\n  two\tthree ")]) == ["one two three"]
    assert said([chunk("迷宮には七つの曲がり角")], width=8) == ["迷宮には", "七つの曲", "がり角"]
    assert said([]) == said([chunk("x")], width=0) == said([chunk("x")], task="0.1") == []


def test_the_latest_progress_of_a_tool_is_shown(said):
    half = Chunk(run="r1", task="0", node="a", key="k", kind="progress", text="two of four", fraction=0.5)
    assert said([chunk("one of four", kind="progress"), half]) == ["50% two of four"]
    assert said([half, chunk("nearly", kind="progress")]) == ["nearly"]
    assert said([half, chunk(kind="end")]) == []


def test_what_could_steer_the_terminal_is_made_visible(said):
    assert said([chunk("\x1b[31mred\x07")]) == [r"\x1b[31mred\x07"]


def test_what_is_void_or_over_is_not_shown(said):
    assert said([chunk("one"), chunk(kind="reset"), chunk("two")]) == ["two"]
    assert said([chunk("one"), chunk(kind="end")]) == []
    assert said([chunk("one"), chunk("two", key="k2"), chunk(kind="reset", key="", task="")]) == []
    assert said([chunk("one"), chunk("child", run="r1.c")]) == ["one"]


def test_reasoning_gives_way_to_the_answer(said, paper):
    assert said([chunk("thinking", kind="reasoning"), chunk("saying")]) == ["saying"]
    speech = Speech("r1")
    speech.take(chunk("thinking", kind="reasoning"))
    assert str(speech.lines("0", paper, 20, 3)[0].style) == "dim italic"


def test_of_several_answers_for_a_task_the_newest_is_shown(said):
    assert said([chunk("one", key="a"), chunk("two", key="b")]) == ["two"]
    assert said([chunk("one", key="a"), chunk("two", key="b"), chunk(" more", key="a")]) == ["one more"]


def test_a_long_answer_takes_little_room(said, paper):
    speech = Speech("r1")
    for n in range(5000):
        speech.take(chunk(f"word{n} "))
    assert len(speech._answers["k"].text) <= 2000
    assert speech.lines("0", paper, 20, 1)[0].plain.endswith("word4999")
