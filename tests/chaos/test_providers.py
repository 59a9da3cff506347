"""Conversations with providers, killed in the middle and gone on with: what is recorded is asked and done once.

Judged by the fake provider, which outlives the processes and knows what each of them asked, and by the log of what tools did.
"""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import judge
import pytest
from conversations import CASES, PROTOCOLS, SCENARIOS, TEXT, House, Run, Scenario, calls
from driving import RUN
from trials import HERE, Trials, Zygote, count, read_log

pytestmark = [pytest.mark.chaos, pytest.mark.xdist_group("providers")]

INPUT = "look it up"
Kill = dict[str, Any]


class Warm(Zygote):
    """A warm process with the providers' libraries."""

    def __init__(self) -> None:
        command = [sys.executable, str(HERE / "speaking.py")]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


class Talks:
    """Trials side by side, each in a directory of its own below ``base``, all with the providers of one house."""

    def __init__(self, base: Path, house: House, warm: "SimpleQueue[Zygote]") -> None:
        self.base, self.house, self._warm = base, house, warm
        self._count = 0

    async def forked(self, job: dict[str, Any]) -> dict[str, Any]:
        def work() -> dict[str, Any]:
            zygote = self._warm.get()
            try:
                return zygote.run(job)
            finally:
                self._warm.put(zygote)

        return await asyncio.to_thread(work)

    def run(self, protocol: str, scenario: Scenario, **options: Any) -> Run:
        self._count += 1
        directory = self.base / f"{os.getpid()}-{self._count}"
        directory.mkdir()
        return self.house.move_in(directory, protocol, scenario, **options)

    async def drive(self, run: Run, incarnation: int, **kill: Any) -> dict[str, Any]:
        told = await self.forked({**job_of(run), "do": "drive", "incarnation": incarnation, **kill})
        count(told, False, kill)
        return told

    async def examine(self, run: Run, incarnation: int) -> dict[str, Any]:
        return await self.forked({**job_of(run), "do": "examine", "incarnation": incarnation})

    async def undisturbed(self, protocol: str, scenario: Scenario) -> dict[str, Any]:
        run = self.run(protocol, scenario)
        told = await self.drive(run, 1, count=True)
        assert "raised" not in told, told["traceback"]
        seen = await self.examine(run, 2)
        assert (seen["runs"][RUN]["output"], seen["findings"]) == (None if scenario.error else TEXT, [])
        assert len(run.asked) == len(scenario.says) - 1 + len(scenario.tries)
        return {**seen, "log": read_log(run.directory), "writes": told["writes"], "asked": run.asked}

    async def acquit(self, protocol: str, scenario: Scenario, kills: list[Kill], reference: dict[str, Any]) -> None:
        """One trial per kill. Raises AssertionError that says which kills did what harm, and where it can be looked at."""
        found = await asyncio.gather(*(self.trial(protocol, scenario, kill, reference) for kill in kills))
        said = [problem for problems in found for problem in problems]
        assert not said, "\n".join([f"{len(said)} problems", *said[:5]])

    async def trial(self, protocol: str, scenario: Scenario, kill: Kill, reference: dict[str, Any]) -> list[str]:
        """``kill``: ``{"asked": (n, …)}`` by the provider that has these requests, ``{"write": n, "phase": …}`` of the journal,
        ``{"point": name}`` of a tool, ``{"chunk": n}`` of an answer that is held, and what else ``speaking`` knows."""
        run = self.run(protocol, scenario, kill_at=kill.get("asked", ()), hold="chunk" in kill)
        if "point" in kill:
            (run.directory / "kill-at-point").write_text(kill["point"])
        said: list[str] = []
        told: dict[str, Any] = {"signal": 9}
        sabotaged = {key: value for key, value in kill.items() if key == "sabotage"}
        number = 0
        while told["signal"] == 9:
            number += 1
            told = await self.drive(run, number, **(sabotaged if number > 1 else kill))
        if number == 1 and "write" not in kill:
            said.append("it was not killed")
        said += [told["traceback"]] if "raised" in told else []
        asked = len(run.asked)
        seen = await self.examine(run, number + 1)
        if "raised" in seen:
            return [f"{kill} in {run.directory}: {text}" for text in (*said, seen["traceback"])]
        said += [f"looking back asked {len(run.asked) - asked} times"] if len(run.asked) > asked else []
        said += problems(seen, reference, run)
        if "chunk" in kill and not heard_anew(run):
            said.append("what was heard of the broken answer was not taken back and said again")
        if not said:
            shutil.rmtree(run.directory)
        return [f"{kill} in {run.directory}: {problem}" for problem in said]


def job_of(run: Run) -> dict[str, Any]:
    directory = run.directory
    return {"directory": str(directory), "project": str(directory / "project"), "input": INPUT,
            "listens": run.scenario.listens}  # fmt: skip


# -- the judge -----------------------------------------------------------------------------------------------------


def problems(told: dict[str, Any], reference: dict[str, Any], run: Run) -> list[str]:
    """What is wrong with a trial. In doubt, where that is declared, is no end that the undisturbed run comes to."""
    seen, wanted = told["runs"][RUN], reference["runs"][RUN]
    log = read_log(run.directory)
    found = asked_again(seen, reference, run)
    bills, due = billed(seen), billed(wanted)
    if not judge.in_doubt(seen):
        if bills != due:
            found.append(f"model calls on record: {bills}, undisturbed {due}")
        return found + judge.problems(told, reference, log)
    if (seen["state"], seen["error"]["code"]) != ("failed", "in_doubt") or seen["verdict"] != "identical":
        found.append(f"in doubt, and then {seen['state']}, {seen['error']}, {seen['verdict']}: {seen['divergence']}")
    found += [
        f"model call {key} on record: {bill}, undisturbed {due.get(key)}"
        for key, bill in bills.items()
        if due.get(key) != bill
    ]
    return found + [f"verify: {finding}" for finding in told["findings"]] + judge._effect_problems(told, log)


def billed(seen: dict[str, Any]) -> dict[str, Any]:
    """Model calls on record: what was asked, what it cost, who answered."""
    finished = [e for e in seen["events"] if e["type"] == "EffectFinished" and e["kind"] == "model"]
    return {e["key"]: [e["status"], *e["bill"]] for e in finished}


def asked_again(seen: dict[str, Any], reference: dict[str, Any], run: Run) -> list[str]:
    """No model call on record was asked for by a later process, none more often than failures made it, each in the same words."""
    recorded, found, process = {}, [], 0
    for event in seen["events"]:
        if event["type"] == "DriverStarted":
            process = int(event["owner"].removeprefix("incarnation"))
        elif event["type"] == "EffectFinished" and event["kind"] == "model":
            turn = int(event["key"].rpartition("/t")[2])
            found += [f"turn {turn}: recorded twice"] if turn in recorded else []
            recorded.setdefault(turn, process)
    asked: dict[int, list[int]] = {}
    for one in run.asked:
        asked.setdefault(one.turn, []).append(one.incarnation)
    found += [
        f"turn {turn}: recorded by process {at}, asked by {asked.get(turn)}"
        for turn, at in recorded.items()
        if max(asked.get(turn, [0])) != at
    ]
    found += [f"turn {turn}: asked by {by}, never recorded" for turn, by in asked.items() if turn not in recorded]
    most = Counter((one.turn, one.provider) for one in reference["asked"])
    times = Counter((one.turn, one.provider, one.incarnation) for one in run.asked)
    found += [
        f"asked too often: {which}, {number} times" for which, number in times.items() if number > most[which[:2]]
    ]
    words = {(one.turn, one.provider): one.raw for one in reference["asked"]}
    return found + [f"turn {one.turn}: other words" for one in run.asked if one.raw != words[one.turn, one.provider]]


def heard_anew(run: Run) -> bool:
    """The last answer, as the second process gave it to who listened."""
    lines = [json.loads(line) for line in (run.directory / "heard").read_text().splitlines()]
    last = [
        (kind, text) for number, key, kind, text in lines if number == 2 and key.endswith(f"/t{len(run.scenario.says)}")
    ]
    return bool(last) and last[0][0] == "reset" and "".join(text for _, text in last) == TEXT


# -- the trials ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def warm() -> Generator["SimpleQueue[Zygote]"]:
    made = [Warm(), Warm()]
    queue: SimpleQueue[Zygote] = SimpleQueue()
    for one in made:
        queue.put(one)
    yield queue
    for one in made:
        one.close()


@pytest.fixture
async def talks(trials: Trials, warm: "SimpleQueue[Zygote]") -> AsyncGenerator[Talks]:
    house = House()
    async with house.fake:
        yield Talks(trials.directory(), house, warm)


def kills_of(scenario: Scenario, reference: dict[str, Any]) -> list[Kill]:
    """While each answer is under way, before and after each is recorded, around what each tool does."""
    kills: list[Kill] = [{"asked": (number,)} for number in range(1, len(reference["asked"]) + 1)]
    for turn in range(1, len(scenario.says) + 1):
        kills += [{"answer": turn}, {"answer": turn, "after": True}]
    kills += [{"point": f"{when} {name}"} for name in scenario.performed() for when in ("before", "after")]
    kills += [{"chunk": 1}, {"chunk": 2}] if scenario.listens else []
    return kills + ([{"pause": True}] if scenario.tries[0] != "a ok" and not scenario.always else [])


def writes_of(reference: dict[str, Any]) -> list[Kill]:
    """``before``: nothing of the write is durable; ``after``: it is, and nothing followed from it."""
    return [{"write": n, "phase": phase} for n in range(1, reference["writes"] + 1) for phase in ("before", "after")]


@pytest.mark.parametrize(("protocol", "name"), CASES)
async def test_killed(talks: Talks, protocol: str, name: str) -> None:
    scenario = SCENARIOS[name]
    reference = await talks.undisturbed(protocol, scenario)
    await talks.acquit(protocol, scenario, kills_of(scenario, reference), reference)


@pytest.mark.parametrize(
    ("protocol", "name"), [("chat", "tools"), ("responses", "parallel"), ("anthropic", "parallel")]
)
async def test_killed_at_every_journal_write(talks: Talks, protocol: str, name: str) -> None:
    scenario = SCENARIOS[name]
    reference = await talks.undisturbed(protocol, scenario)
    await talks.acquit(protocol, scenario, writes_of(reference), reference)


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_killed_at_every_turn(talks: Talks, protocol: str) -> None:
    """One process after another dies while a model thinks; each goes on where the last was."""
    scenario = SCENARIOS["tools"]
    reference = await talks.undisturbed(protocol, scenario)
    await talks.acquit(protocol, scenario, [{"asked": (1, 3, 5, 7)}, {"asked": (1, 2, 4)}], reference)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("name", ["two/reserve", "two/ticket"])
async def test_in_doubt(talks: Talks, name: str, when: str) -> None:
    """A call that must not be repeated and was in flight: it fails, or a human says whether to make it."""
    said = SCENARIOS["tools"].says
    scenario = Scenario((said[0], calls(name), *said[2:]))
    run = talks.run("responses", scenario)
    (run.directory / "kill-at-point").write_text(f"{when} {name}")
    assert (await talks.drive(run, 1))["signal"] == 9
    told = await talks.drive(run, 2)
    again = name == "two/ticket" and when == "before"
    assert (told["output"] == TEXT) == again
    assert (told["error"] or {}).get("code") == (None if again else "in_doubt")
    assert [one.turn for one in run.asked] == ([1, 2, 3, 4] if again else [1, 2])
    assert [line["name"] for line in read_log(run.directory)].count(name) == (again or when == "after")
    seen = await talks.examine(run, 3)
    assert (seen["findings"], seen["runs"][RUN]["verdict"]) == ([], "identical")


@pytest.mark.parametrize("protocol", ["chat", "responses", "anthropic"])
async def test_from_the_command_line(talks: Talks, protocol: str) -> None:
    """Whole processes: ``clew run`` is killed, ``clew resume`` ends what it began."""
    run = talks.run(protocol, SCENARIOS["tools"], kill_at=(3,))
    assert await command(run, "run", "project", "--input", json.dumps(INPUT)) == -signal.SIGKILL
    (run.directory / "incarnation").write_text("2")
    assert await command(run, "resume") == 0
    assert [(one.turn, one.incarnation) for one in run.asked] == [(1, 1), (2, 1), (3, 1), (3, 2), (4, 2)]
    done = [(line["name"], line["incarnation"]) for line in read_log(run.directory)]
    assert done == [("one/lookup", 1), ("two/reserve", 1), ("three/lookup", 2)]
    told = await talks.examine(run, 3)
    (seen,) = told["runs"].values()
    assert (seen["output"], seen["verdict"], told["findings"]) == (TEXT, "identical", [])
    assert len(run.asked) == 5


async def command(run: Run, *arguments: str) -> int:
    line = [sys.executable, "-m", "clew.cli", "--state", "state", "--quiet", *arguments]
    process = await asyncio.create_subprocess_exec(*line, cwd=run.directory, stdout=subprocess.DEVNULL)
    (run.directory / "pid").write_text(str(process.pid))
    return await process.wait()


@pytest.mark.parametrize(
    ("sabotage", "complaint"), [("forget_outcomes", "recorded by process"), ("leave_no_intents", "performed 2 times")]
)
async def test_the_judge_is_awake(talks: Talks, sabotage: str, complaint: str) -> None:
    """An engine that asks or acts again is found guilty."""
    scenario = SCENARIOS["tools"]
    reference = await talks.undisturbed("chat", scenario)
    kill = {"point": "after two/reserve", "sabotage": sabotage}
    with pytest.raises(AssertionError, match=complaint):
        await talks.acquit("chat", scenario, [kill], reference)
