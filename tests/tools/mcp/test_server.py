"""Starting, starting again, and holding to the pin; against connections that are told what to do."""

import asyncio
from itertools import pairwise

import pytest

from clew.core.errors import Failure
from clew.gate.ports.tool import ToolContext
from clew.testing import ManualClock
from clew.tools.mcp import server
from clew.tools.mcp.faults import Lost, Unsent
from clew.tools.mcp.pins import pin_of
from clew.tools.mcp.server import McpServer

ADD = {"name": "add", "description": "adds", "inputSchema": {"type": "object"}}


class Scripted:
    """Each call takes the next of ``does``: an answer, or an exception that ends the connection."""

    def __init__(self, does=(), opens=None, offers=(ADD,)):
        self.does, self.opens, self.offers = list(does), opens, offers
        self.changed, self.ended, self.closed, self.lists, self.keys = True, False, False, 0, []

    async def open(self):
        if self.opens is not None:
            self.ended = True
            raise self.opens

    async def close(self):
        self.ended = self.closed = True

    async def tools(self):
        self.changed = False
        self.lists += 1
        await asyncio.sleep(0)
        return list(self.offers)

    async def call(self, name, arguments, key, told):
        self.keys.append(key)
        done = self.does.pop(0) if self.does else {"content": []}
        if isinstance(done, Exception):
            self.ended = True
            raise done
        return done


@pytest.fixture
def clock():
    return ManualClock(auto=True)


@pytest.fixture
def made(clock, tmp_path):
    def make(*connections):
        left, starts = list(connections), []

        async def connect():
            starts.append(clock.now())
            return left.pop(0)

        one = McpServer("it", connect, clock)
        context = ToolContext(project_dir=tmp_path, root=tmp_path, idempotency_key="k")

        async def call(name="add", pin=None, repeat=False):
            return await one.call(name, pin, {}, context, repeat=repeat)

        return one, call, starts

    return make


async def test_nothing_is_started_before_the_first_call(made):
    one, call, starts = made(Scripted())
    assert starts == []
    await call()
    await call()
    assert len(starts) == 1
    await one.close()


async def test_what_reached_no_tool_is_asked_again_after_a_moment(made):
    first, second = Scripted([Unsent("gone")]), Scripted()
    _, call, starts = made(first, second)
    assert await call() == {"content": []}
    assert first.closed
    assert starts[1] - starts[0] == server.FIRST_MS


async def test_what_may_have_been_done_is_in_doubt(made):
    _, call, starts = made(Scripted([Lost("it fell")]))
    with pytest.raises(Failure, match="it fell") as caught:
        await call()
    assert caught.value.code == "in_doubt"
    assert len(starts) == 1


async def test_what_may_be_repeated_is_repeated_once(made):
    _, call, starts = made(Scripted([Lost("1")]), Scripted([Lost("2")]), Scripted())
    with pytest.raises(Failure, match="2") as caught:
        await call(repeat=True)
    assert caught.value.code == "tool_unavailable"
    assert len(starts) == 2
    assert await call(repeat=True)


async def test_each_failure_doubles_the_wait_until_a_call_succeeds(made, monkeypatch):
    monkeypatch.setattr(server, "LONGEST_MS", 3000)
    bad = [Scripted(opens=Unsent("no")) for _ in range(8)]
    _, call, starts = made(*bad, Scripted([{}, Unsent("gone")]), Scripted())
    for _ in range(4):
        with pytest.raises(Failure, match="no"):
            await call()
    await call()
    await call()
    waits = [after - before for before, after in pairwise(starts)]
    assert waits == [500, 1000, 2000, 3000, 3000, 3000, 3000, 3000, 500]


async def test_callers_at_once_share_a_start_and_a_list(made):
    connection = Scripted()
    _, call, starts = made(connection)
    await asyncio.gather(*(call() for _ in range(5)))
    assert (len(starts), connection.lists, connection.keys) == (1, 1, ["k"] * 5)


async def test_a_caller_that_gives_up_while_waiting_to_start_leaves_no_timer(made, clock):
    clock.busy = lambda: True
    _, call, starts = made(Scripted(opens=Unsent("no")), Scripted())
    waiting = asyncio.create_task(call())
    for _ in range(20):
        await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    clock.busy = None
    assert await call()
    assert len(starts) == 2


async def test_the_pin_must_fit(made):
    _, call, _ = made(Scripted())
    assert await call(pin=pin_of(ADD))
    for name, pin in (("add", "0" * 64), ("subtract", None)):
        with pytest.raises(Failure) as caught:
            await call(name, pin)
        assert caught.value.code == "tool_changed"


@pytest.mark.parametrize("field", ["description", "inputSchema", "outputSchema"])
async def test_a_changed_word_is_another_tool(made, field):
    _, call, _ = made(Scripted(offers=[{**ADD, field: {"type": "object", "title": "x"}}]))
    with pytest.raises(Failure) as caught:
        await call(pin=pin_of(ADD))
    assert caught.value.code == "tool_changed"


async def test_listing_what_cannot_be_reached(made):
    one, _, _ = made(Scripted(opens=Unsent("no")))
    with pytest.raises(Failure) as caught:
        await one.tools()
    assert caught.value.code == "tool_unavailable"
