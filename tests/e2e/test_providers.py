"""Agents and real provider clients over HTTP: every way a provider may answer or fail, in every protocol, recorded and replayed."""

from collections.abc import AsyncGenerator
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from conversations import CASES, COSTS, PROTOCOLS, SCENARIOS, SECOND, TEXT, USAGE, House, tool_of
from trials import read_log

from clew.core.events import EffectFinished, Event
from clew.gate.ports.stream import Chunk
from clew.models import chain
from clew.service.engine import open_project
from clew.service.replay import trace_digest


@pytest.fixture
async def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[House]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(chain, "BACKOFF_MS", 4)
    house = House()
    async with house.fake:
        yield house


@pytest.mark.parametrize(("protocol", "name"), CASES)
async def test_a_conversation(house: House, tmp_path: Path, protocol: str, name: str) -> None:
    scenario = SCENARIOS[name]
    run = house.move_in(tmp_path, protocol, scenario)
    async with open_project(tmp_path / "project", ":memory:") as engine:
        handle = await engine.start("look it up")
        heard = [item async for item in handle.stream() if isinstance(item, Chunk)] if scenario.listens else []
        result = await handle.result()
        asked = len(run.asked)
        report = await engine.replay(result.run_id, handlers=True)
        assert report.verdict == "identical", report.divergence
        assert report.trace == trace_digest(result.history)
        assert await engine.verify() == []
    assert len(run.asked) == asked == len(scenario.says) - 1 + len(scenario.tries)
    assert {one.streamed for one in run.asked} == {scenario.listens}
    if scenario.error:
        assert (result.state, result.error["code"]) == ("failed", scenario.error)
    else:
        assert (result.state, result.output) == ("completed", TEXT)
    if scenario.listens:
        assert [said(heard, turn) for turn in range(1, len(scenario.says) + 1)] == [s.text for s in scenario.says]
    done = [line["name"] for line in read_log(tmp_path)]
    assert sorted(done) == sorted(scenario.performed())
    assert [tool_of(name) for name in done] == [tool_of(name) for name in scenario.performed()]
    facts = [(r.event.fact, r.event) for r in result.history if isinstance(r.event.fact, EffectFinished)]
    turns = [(fact, event) for fact, event in facts if fact.kind == "model"]
    assert len(turns) == len(scenario.says)
    for at, (fact, event) in enumerate(turns, 1):
        judge_turn(fact, event, scenario.tries if at == len(turns) else ("a ok",))
        assert fact.by == f"{fact.by[0]}/{PROTOCOLS[protocol if fact.by[0] == 'a' else SECOND[protocol]][2]}"
    assert Decimal(result.cost) == sum(Decimal(fact.cost) for fact, _ in turns)


def said(heard: list[Chunk], turn: int) -> str:
    """What stands of a turn once it has been spoken."""
    text = ""
    for chunk in heard:
        if chunk.key.endswith(f"/t{turn}"):
            text = "" if chunk.kind == "reset" else text + chunk.text
    return text


def judge_turn(fact: EffectFinished, event: Event, tries: tuple[str, ...]) -> None:
    noted = event.payload["notes"]["gateway"]["tries"]
    assert [f"{t['deployment'][0]} {t['code']}" for t in noted] == list(tries)
    assert fact.tries == len(tries)
    if tries[0] == "a rate_limited":
        assert noted[1]["waited_ms"] > 50  # 200 since it was said; nothing else waits here for more than 4
    by = tries[-1][0]
    assert fact.cost == COSTS[by]
    assert fact.usage == msgspec.structs.asdict(USAGE)
    assert fact.agent == "clerk"
