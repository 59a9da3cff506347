"""The memory journal's own ways: nothing is computed before it is asked for, a death can be played."""

import pytest

from clew.core.errors import Conflict
from clew.stores.memory.journal import MemoryJournal
from clew.stores.projections import shipped


@pytest.fixture
async def memory(clock):
    journal = MemoryJournal(projections=shipped(), clock=clock)
    yield journal
    await journal.close()


async def test_hashes_are_computed_when_asked_for(memory, story):
    head = await memory.append(story.start())
    assert (head.seq, head.hash) == (1, "")
    assert memory._runs["r1"].stored == []
    assert (await memory.row("r1")).head.hash == (await memory.read("r1"))[0].hash != ""


async def test_a_death_lets_go_of_every_run(memory, story):
    await memory.append(story.start())
    with pytest.raises(Conflict):
        await memory.claim("r1")
    memory.die()
    with pytest.raises(Conflict):
        await memory.append(story.node(1))
    assert await memory.claim("r1") == 2


async def test_projections_see_each_event_once(memory, story):
    await story.whole(memory, "r1", 2)
    assert len(await memory.rows("artifacts")) == 2
    await story.whole(memory, "r2", 1)
    assert len(await memory.rows("artifacts")) == 3
    assert len(await memory.rows("artifacts")) == 3
