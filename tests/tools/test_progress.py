import asyncio
import math

import pytest

from clew.gate.effect import Effect
from clew.tools.progress import LINE_LIMIT, Report

EFFECT = Effect(key="t/n#1/1", kind="tool", name="x", request={}, task="t", node="n", run="r")


class Ear:
    """A stream that keeps what it is sent."""

    def __init__(self, listening=True):
        self.listening = listening
        self.chunks = []

    def wanted(self, run):
        return self.listening and run == "r"

    def send(self, chunk):
        self.chunks.append(chunk)


async def test_progress_then_end():
    ear = Ear()
    report = Report(ear, EFFECT)
    report(0.25, " two\n words ")
    await asyncio.sleep(0)
    report(None, "b")
    await asyncio.sleep(0)
    report.end()
    assert [(c.kind, c.text, c.fraction) for c in ear.chunks] == [
        ("progress", "two words", 0.25),
        ("progress", "b", None),
        ("end", "", None),
    ]
    assert {(c.run, c.task, c.node, c.key) for c in ear.chunks} == {("r", "t", "n", "t/n#1/1")}


async def test_of_a_flood_the_latest_is_sent():
    ear = Ear()
    report = Report(ear, EFFECT)
    for number in range(1000):
        report(number / 1000, f"{number}")
    await asyncio.sleep(0)
    assert [c.text for c in ear.chunks] == ["999"]


async def test_from_another_thread():
    ear = Ear()
    report = Report(ear, EFFECT)
    await asyncio.to_thread(report, 1, "there")
    await asyncio.sleep(0)
    assert [c.text for c in ear.chunks] == ["there"]


@pytest.mark.parametrize(("said", "sent"), [(-1, 0.0), (7, 1.0), (math.nan, None), (math.inf, 1.0)])
async def test_fractions(said, sent):
    ear = Ear()
    Report(ear, EFFECT)(said, "x" * 5000)
    await asyncio.sleep(0)
    assert ear.chunks[0].fraction == sent
    assert len(ear.chunks[0].text) == LINE_LIMIT


async def test_nobody_listens_or_it_has_ended():
    ear = Ear(listening=False)
    report = Report(ear, EFFECT)
    report(None, "a")
    await asyncio.sleep(0)
    report.end()
    ear.listening = True
    report(None, "late")
    await asyncio.sleep(0)
    assert ear.chunks == []


def test_a_loop_that_is_gone():
    async def make():
        return Report(Ear(), EFFECT)

    asyncio.run(make())(None, "late")
