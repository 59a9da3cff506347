"""What a commit promises: a sync for each, nothing half-written when it fails, memory that agrees with the disk."""

import asyncio
from types import MappingProxyType

import pytest

from clew.core.errors import Conflict, JournalError, UsageError
from clew.core.events import EffectFinished, NodeCompleted
from clew.stores.sqlite.rows import BLOB_FROM


def test_every_append_is_synced(shim, output):
    lines = output(
        """
        async def main():
            journal = opened()
            await journal.append(start())
            for expected in range(1, 21):
                before = shim.shim_syncs()
                await journal.append(node(expected))
                print(shim.shim_syncs() - before)
            await journal.close()
        asyncio.run(main())
        """,
        shim,
    )
    assert [int(line) for line in lines] == [1] * 20


def test_a_group_is_synced_once(shim, output):
    lines = output(
        """
        async def main():
            journal = opened()
            await asyncio.gather(*(journal.append(start(f"r{n}")) for n in range(50)))
            for expected in range(1, 6):
                before = shim.shim_syncs()
                await asyncio.gather(*(journal.append(node(expected, f"r{n}")) for n in range(50)))
                print(shim.shim_syncs() - before)
            print(len(await journal.verify()))
            await journal.close()
        asyncio.run(main())
        """,
        shim,
    )
    assert lines == ["1", "1", "1", "1", "1", "0"]


@pytest.mark.parametrize("after", [0, 1, 2, 5])
def test_a_full_disk_writes_nothing(shim, output, after):
    """Every write from the n-th on is refused, as on a full disk; afterwards there is space again."""
    lines = output(
        f"""
        async def main():
            journal = opened()
            await journal.append(start())
            shim.shim_fail_writes({after}, errno.ENOSPC)
            try:
                await journal.append(node(1, size=200_000))
            except JournalError as error:
                print("full" in str(error) and "free some space" in str(error))
            shim.shim_fail_writes(-1, 0)
            print((await journal.row("r1")).head.seq, len(await journal.read("r1")), len(await journal.verify()))
            print((await journal.append(node(1))).seq)
            await journal.close()
            again = opened()
            print((await again.row("r1")).head.seq, len(await again.verify()))
            await again.close()
        asyncio.run(main())
        """,
        shim,
    )
    assert lines == ["True", "1 1 0", "2", "2 0"]


def test_a_full_disk_fails_the_whole_group(shim, output):
    lines = output(
        """
        async def main():
            journal = opened()
            await asyncio.gather(*(journal.append(start(f"r{n}")) for n in range(5)))
            shim.shim_fail_writes(1, errno.ENOSPC)
            answers = await asyncio.gather(*(journal.append(node(1, f"r{n}")) for n in range(5)), return_exceptions=True)
            print([type(answer).__name__ for answer in answers])
            shim.shim_fail_writes(-1, 0)
            print([row.head.seq for row in await journal.runs(RunFilter())])
            await journal.close()
        asyncio.run(main())
        """,
        shim,
    )
    assert lines == [str(["JournalError"] * 5), str([1] * 5)]


def test_after_a_refused_sync_nothing_more_is_written(shim, output):
    lines = output(
        """
        async def main():
            journal = opened()
            await journal.append(start())
            shim.shim_fail_syncs(1)
            for attempt in range(2):
                try:
                    await journal.append(node(1))
                except JournalError as error:
                    print("IOERR" in str(error), "clew verify" in str(error))
                shim.shim_fail_syncs(0)
            print((await journal.row("r1")).head.seq)
            await journal.close()
            again = opened()
            row = await again.row("r1")
            epoch = await again.claim("r1")
            print((await again.append(node(row.head.seq, epoch=epoch))).seq == row.head.seq + 1, len(await again.verify()))
            await again.close()
        asyncio.run(main())
        """,
        shim,
    )
    assert lines == ["True True", "True True", "1", "True 0"]


async def test_the_writer_is_durable(journal):
    assert journal._connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert journal._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert journal._connection.execute("PRAGMA secure_delete").fetchone() == (1,)


async def test_a_file_that_may_not_grow(journal, story):
    await journal.append(story.start())
    pages = journal._connection.execute("PRAGMA page_count").fetchone()[0]
    journal._connection.execute(f"PRAGMA max_page_count={pages}")
    with pytest.raises(JournalError, match="disk is full"):
        await journal.append(story.node(1, output="x" * 100_000))
    journal._connection.execute("PRAGMA max_page_count=1000000")
    assert (await journal.row("r1")).head.seq == 1
    assert (await journal.append(story.node(1))).seq == 3
    assert await journal.verify() == []


async def test_a_lock_that_is_not_let_go(journal, story, opened):
    await journal.append(story.start())
    other = opened()
    journal._connection.execute("PRAGMA busy_timeout=1")
    other._connection.execute("BEGIN IMMEDIATE")
    with pytest.raises(JournalError, match="another process holds the write lock"):
        await journal.append(story.node(1))
    other._connection.execute("ROLLBACK")
    assert (await journal.append(story.node(1))).seq == 3


async def test_what_is_no_json_fails_alone(journal, story):
    await asyncio.gather(*(journal.append(story.start(f"r{number}")) for number in range(3)))
    bad = story.node(1, "r1", output={"x": object()})
    answers = await asyncio.gather(
        journal.append(story.node(1, "r0")),
        journal.append(bad),
        journal.append(story.node(1, "r2")),
        return_exceptions=True,
    )
    assert [type(answer).__name__ for answer in answers] == ["Head", "UsageError", "Head"]
    with pytest.raises(UsageError, match="NodeCompleted is no JSON"):
        await journal.append(bad)
    assert (await journal.append(story.node(1, "r1"))).seq == 3


async def test_a_cost_that_is_no_number(journal, story):
    await journal.append(story.start())
    with pytest.raises(UsageError, match="cost"):
        await journal.append(story.facts(1, story.done("0/a#1/0", {"output": 1}, kind="model", cost="a lot")))
    assert (await journal.append(story.node(1))).seq == 3


async def test_a_projection_that_raises_fails_its_append_alone(opened, story):
    class Broken:
        name = "broken"
        version = 1
        lazy = False
        facts = (EffectFinished, NodeCompleted)
        tables = MappingProxyType({"broken": ("CREATE TABLE broken (run TEXT)",)})

        def apply(self, entry, tx):
            tx.execute("INSERT INTO broken VALUES (?)", (entry.run,))
            if type(entry.fact) is EffectFinished:
                raise RuntimeError("a bug in a projection")

    journal = opened(projections=[Broken()])
    await asyncio.gather(*(journal.append(story.start(f"r{number}")) for number in range(3)))
    bad = story.facts(1, story.done("0/a#1/0", {"output": 1}), run="r1")
    answers = await asyncio.gather(
        journal.append(story.node(1, "r0")),
        journal.append(bad),
        journal.append(story.node(1, "r2")),
        return_exceptions=True,
    )
    assert [type(answer).__name__ for answer in answers] == ["Head", "RuntimeError", "Head"]
    assert [row["run"] for row in await journal.rows("broken")] == ["r0", "r2"]
    assert await journal.verify() == []


async def test_a_driver_that_lost_its_run_is_fenced(opened, story):
    """The lock file of a living owner is torn away: the second driver wins, the first is refused by the epoch."""
    first, second = opened(), opened()
    await first.append(story.start())
    first._owner._path(first._owner.id).unlink()
    assert await second.claim("r1") == 2
    with pytest.raises(Conflict, match="taken over"):
        await first.append(story.node(1))
    with pytest.raises(Conflict):
        await first.append(story.node(1, epoch=2))
    assert (await second.append(story.node(1, epoch=2))).seq == 3


async def test_large_payloads_are_kept_once(journal, story):
    await journal.append(story.start())
    large = "x" * BLOB_FROM
    await journal.append(story.node(1, output=large))
    await journal.append(story.node(3, output=large))
    assert journal._connection.execute("SELECT count(*), sum(size) FROM blobs").fetchone() == (1, BLOB_FROM + 2)
    assert [record.event.payload for record in await journal.read("r1", 4)] == [large]
    assert await journal.verify() == []


async def test_a_cancelled_append_in_a_group_is_left_out(journal, story):
    await asyncio.gather(*(journal.append(story.start(f"r{number}")) for number in range(3)))
    tasks = [asyncio.ensure_future(journal.append(story.node(1, f"r{number}"))) for number in range(3)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    seqs = [(await journal.row(f"r{number}")).head.seq for number in range(3)]
    assert seqs[1] in (1, 3)
    assert (seqs[0], seqs[2]) == (3, 3)
    assert (await journal.append(story.node(seqs[1], "r1"))).seq == seqs[1] + 2
