"""Erasure leaves no byte: not in the file, not in its free pages, not in the write-ahead log, not in projections."""

import pytest

from clew.core.errors import JournalError

SECRET = "a-very-personal-sentence"


def everywhere(path) -> bytes:
    return b"".join(part.read_bytes() for part in path.parent.iterdir() if part.is_file())


@pytest.mark.parametrize("size", [1, 200, 2_000])
async def test_no_byte_is_left(opened, story, path, size):
    journal = opened()
    await journal.append(story.start())
    await journal.append(story.node(1, output=SECRET * size))
    asked = story.done("0/a#1/0", {"output": {"decision": "approve", "by": "ada", "why": SECRET}})
    await journal.append(story.facts(3, story.ask("0/a#1/0"), asked))
    await journal.append(story.finish(5))
    await journal.release("r1")
    salts = [event.salt for event in (await journal.dump("r1")).events if event.salt]
    assert SECRET.encode() in everywhere(path)
    assert await journal.erase("r1") == 5
    assert SECRET.encode() not in everywhere(path)
    assert not [salt for salt in salts if salt in everywhere(path)]
    (row,) = await journal.rows("approvals")
    assert (row["state"], row["why"]) == ("answered", "")
    assert await journal.verify() == []


async def test_a_blob_that_another_run_names_stays(journal, story):
    for run in ("r1", "r2"):
        await journal.append(story.start(run))
        await journal.append(story.node(1, run, output=SECRET * 1000))
        await journal.append(story.finish(3, run))
        await journal.release(run)
    await journal.erase("r1")
    assert (await journal.read("r2", 2, 3))[0].event.payload == SECRET * 1000
    await journal.erase("r2")
    assert journal._connection.execute("SELECT count(*) FROM blobs").fetchone() == (0,)
    assert await journal.verify() == []


async def test_a_reader_that_holds_the_log_is_named(opened, story, path):
    journal, other = opened(), opened()
    await story.whole(journal)
    journal._connection.execute("PRAGMA busy_timeout=1")
    other._connection.execute("BEGIN")
    other._connection.execute("SELECT count(*) FROM events").fetchone()
    with pytest.raises(JournalError, match="run the same command again"):
        await journal.erase("r1")
    other._connection.execute("ROLLBACK")
    assert await journal.erase("r1") == 0
    assert (path.parent / "journal.db-wal").stat().st_size == 0
    assert await journal.verify() == []


async def test_a_run_whose_driver_is_dead_can_be_erased(opened, story):
    one = opened()
    await one.append(story.start())
    two = opened()
    one._owner.close()
    assert await two.erase("r1") == 1
