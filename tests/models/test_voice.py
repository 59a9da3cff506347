import pytest

from clew.gate.effect import Effect
from clew.models.voice import Voice

EFFECT = Effect(key="t/n#1/1", kind="model", name="m", request=None, task="t", node="n", run="r")


class Stage:
    def __init__(self, wanted: bool = True) -> None:
        self.listening = wanted
        self.heard: list[tuple[str, str]] = []

    def wanted(self, run: str) -> bool:
        assert run == "r"
        return self.listening

    def send(self, chunk) -> None:
        assert (chunk.run, chunk.task, chunk.node, chunk.key) == ("r", "t", "n", "t/n#1/1")
        self.heard.append((chunk.kind, chunk.text))


def test_a_call_begins_with_reset_and_ends():
    stage = Stage()
    voice = Voice(stage, EFFECT)
    say = voice.begin()
    say("reasoning", "hm")
    say("text", "yes")
    voice.kept = True
    voice.end()
    assert stage.heard == [("reset", ""), ("reasoning", "hm"), ("text", "yes"), ("end", "")]


def test_what_a_failed_try_said_is_taken_back():
    stage = Stage()
    voice = Voice(stage, EFFECT)
    voice.begin()("text", "ye")
    voice.begin()
    voice.begin()("text", "no")
    voice.end()
    assert stage.heard == [("reset", ""), ("text", "ye"), ("reset", ""), ("text", "no"), ("reset", ""), ("end", "")]


@pytest.mark.parametrize("kept", [True, False])
def test_nobody_listens_nothing_is_said(kept):
    stage = Stage(wanted=False)
    voice = Voice(stage, EFFECT)
    assert voice.begin() is None
    voice.kept = kept
    voice.end()
    assert stage.heard == []


def test_who_comes_later_hears_the_next_try():
    stage = Stage(wanted=False)
    voice = Voice(stage, EFFECT)
    voice.begin()
    stage.listening = True
    voice.begin()("text", "a")
    voice.kept = True
    voice.end()
    assert stage.heard == [("reset", ""), ("text", "a"), ("end", "")]
