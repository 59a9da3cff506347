"""The driver's own ways: inline and grouped commits, other processes, the view for readers, crashes."""

import asyncio
import json
import signal

import pytest

from clew.core.errors import JournalError
from clew.gate.ports.journal import RunFilter
from clew.stores.costs import Costs
from clew.stores.projections import shipped


async def test_one_task_is_not_suspended(journal, story, settle):
    """A lone writer's appends do not leave its step: another ready task has not run in between."""
    ran: list[str] = []

    async def other() -> None:
        ran.append("other")

    await settle()
    task = asyncio.ensure_future(other())
    await journal.append(story.start())
    await journal.append(story.node(1))
    assert ran == []
    await task


async def test_a_lone_writer_lets_others_run_now_and_then(journal, story):
    ran: list[int] = []
    head = (await journal.append(story.start())).seq
    asyncio.get_running_loop().call_soon(ran.append, 1)
    for _ in range(40):
        head = (await journal.append(story.node(head))).seq
    assert ran == [1]
    assert await journal.verify() == []


async def test_one_writer_after_a_crowd_is_alone_again(journal, story):
    await asyncio.gather(*(journal.append(story.start(f"r{number}")) for number in range(5)))
    await journal.append(story.node(1, "r0"))
    assert not journal._crowd
    done = journal.append(story.node(3, "r0"))
    with pytest.raises(StopIteration):
        done.send(None)


async def test_close_writes_what_is_pending(opened, story):
    journal = opened()
    await asyncio.gather(*(journal.append(story.start(f"r{number}")) for number in range(3)))
    tasks = [asyncio.ensure_future(journal.append(story.node(1, f"r{number}"))) for number in range(3)]
    await asyncio.sleep(0)
    await journal.close()
    assert [head.seq for head in await asyncio.gather(*tasks)] == [3, 3, 3]
    again = opened()
    assert [row.owner for row in await again.runs(RunFilter())] == ["", "", ""]


async def test_follow_sees_another_connection(opened, story, settle, collect, clock):
    driver, reader = opened(), opened()
    await driver.append(story.start())
    seen: list[int] = []
    task = asyncio.create_task(collect(reader.follow("r1"), seen))
    await settle()
    await driver.append(story.node(1))
    await settle()
    assert seen == [1]
    clock.advance(100)
    await settle()
    assert seen == [1, 2, 3]
    await driver.append(story.finish(3))
    clock.advance(100)
    assert await task == [1, 2, 3, 4]


async def test_the_history_view(journal, story):
    await journal.append(story.start())
    await journal.append(story.node(1, output={"big": "x" * 20_000}))
    sql = "SELECT run, seq, type, node, payload, length(hash) FROM history ORDER BY seq"
    rows = journal._connection.execute(sql).fetchall()
    assert [row[:4] for row in rows] == [
        ("r1", 1, "RunStarted", None),
        ("r1", 2, "NodeStarted", "n1"),
        ("r1", 3, "NodeCompleted", "n1"),
    ]
    assert [row[5] for row in rows] == [64] * 3
    assert json.loads(rows[2][4]) == {"big": "x" * 20_000}


async def test_projections_are_rebuilt_when_their_version_changes(opened, story):
    class Newer(Costs):
        version = Costs.version + 1

        def apply(self, entry, tx):
            super().apply(entry, tx)
            tx.execute("UPDATE costs SET calls = 100")

    first = opened()
    await first.append(story.start())
    await first.append(story.facts(1, story.done("0/a#1/0", {"output": 1}, kind="model", cost="1")))
    assert [row["calls"] for row in await first.rows("costs")] == [1]
    await first.close()
    others = [one for one in shipped() if one.name != "costs"]
    second = opened(projections=[*others, Newer()])
    assert [row["calls"] for row in await second.rows("costs")] == [100]
    await second.close()
    third = opened(projections=others)  # does not know costs: they fall behind, and are rebuilt by who knows them
    await third.claim("r1")
    await third.append(story.facts(2, story.done("0/a#1/1", {"output": 1}, kind="model", cost="2"), epoch=2))
    await third.close()
    fourth = opened()
    assert [row["calls"] for row in await fourth.rows("costs")] == [2]


async def test_lazy_projections_catch_up_in_steps(journal, story, monkeypatch):
    monkeypatch.setattr("clew.stores.sqlite.projected.CHUNK", 3)
    await story.whole(journal, nodes=10)
    assert len(await journal.rows("artifacts")) == 10


async def test_the_journal_of_another_process(program, opened, story):
    process = program(
        """
        async def main():
            journal = opened()
            await journal.append(start("other"))
            print("ready", flush=True)
            sys.stdin.readline()
            print([message.kind for message in await journal.messages(["other"])], flush=True)
            await journal.close()
        asyncio.run(main())
        """
    )
    assert process.stdout.readline() == "ready\n"
    journal = opened()
    await journal.append(story.start("mine"))
    assert [row.run for row in await journal.runs(RunFilter())] == ["mine", "other"]
    await journal.put_message("other", "cancel", "", None)
    out, err = process.communicate("go\n")
    assert (out, err, process.returncode) == ("['cancel']\n", "", 0)
    assert await journal.verify() == []


async def test_after_a_fork_it_is_refused(journal, story):
    await journal.append(story.start())
    journal._committer._pid += 1
    with pytest.raises(JournalError, match="fork"):
        await journal.append(story.node(1))
    with pytest.raises(JournalError, match="fork"):
        await journal.claim("r1")
    journal._committer._pid -= 1


@pytest.mark.chaos
@pytest.mark.parametrize("runs", [1, 8])
async def test_acknowledged_appends_survive_kill(program, opened, runs):
    """SIGKILL in the middle of writing: whatever was acknowledged is there, the chain holds, the run can be driven on."""
    for round_ in range(4):
        process = program(
            f"""
            async def drive(journal, run):
                try:
                    head = (await journal.row(run)).head.seq
                    epoch = await journal.claim(run)
                except ClewError:
                    head, epoch = (await journal.append(start(run))).seq, 1
                while True:
                    head = (await journal.append(node(head, run, epoch, 3000))).seq
                    os.write(1, f"{{run}} {{head}}\\n".encode())

            async def main():
                journal = opened()
                await asyncio.gather(*(drive(journal, f"r{{n}}") for n in range({runs})))
            asyncio.run(main())
            """
        )
        lines = [process.stdout.readline() for _ in range(25 + 17 * round_)]
        process.send_signal(signal.SIGKILL)
        rest, err = process.communicate()
        assert err == ""
        acknowledged: dict[str, int] = {}
        for line in [*lines, *rest.splitlines(keepends=True)]:
            if line.endswith("\n"):
                run, seq = line.split()
                acknowledged[run] = int(seq)
        journal = opened()
        for run, seq in acknowledged.items():
            assert (await journal.row(run)).head.seq >= seq
        assert await journal.verify() == []
        await journal.close()
