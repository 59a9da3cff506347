"""What models say while they speak: who hears it, what is held back, and what becomes of a slow listener."""

import asyncio
from contextlib import aclosing

import pytest

from clew.gate.ports.stream import Chunk
from clew.policies.redact import MASK, Redactor
from clew.runtime.streams import QUEUE_LIMIT, StreamHub, woven


@pytest.fixture
def hub():
    return StreamHub(lambda: Redactor(values=["hunter22"]))


def chunk(text="", kind="text", run="r1", key="k"):
    return Chunk(run=run, task="0", node="a", key=key, kind=kind, text=text)


def heard(listener):
    return [(c.kind, c.text) for c in listener.ready()]


# -- who hears ---------------------------------------------------------------------------------------------------------


def test_a_run_is_wanted_while_somebody_listens(hub):
    assert not hub.wanted("r1")
    with hub.listen("r1"), hub.listen("r1") as second:
        assert hub.wanted("r1")
        second.close()
        assert hub.wanted("r1")
    assert not hub.wanted("r1")


def test_progress_of_a_tool_is_redacted_line_by_line(hub):
    with hub.listen("r1") as one:
        hub.send(chunk("with hunter22", kind="progress"))
        hub.send(chunk("hunter", kind="progress"))
        hub.send(chunk(kind="end"))
        assert heard(one) == [("progress", f"with {MASK}"), ("progress", "hunter"), ("end", "")]


def test_several_listeners_hear_the_same(hub):
    with hub.listen("r1") as one, hub.listen("r1") as other, hub.listen("r2") as stranger:
        hub.send(chunk("so "))
        assert heard(one) == heard(other) == [("text", "so ")]
        assert heard(stranger) == []


def test_child_runs_are_heard_by_those_who_listen_to_their_parents(hub):
    with hub.listen("r1") as parent, hub.listen("r1.a.b") as child:
        assert hub.wanted("r1.a.b.c")
        assert hub.wanted("r1.x")
        assert not hub.wanted("r10.x")
        hub.send(chunk("one ", run="r1.a.b.c"))
        hub.send(chunk("two ", run="r1.x"))
        assert [c.run for c in parent.ready()] == ["r1.a.b.c", "r1.x"]
        assert heard(child) == [("text", "one ")]


def test_what_nobody_hears_leaves_nothing_behind(hub):
    hub.send(chunk("so "))
    assert hub._speeches == {}
    with hub.listen("r1"):
        hub.send(chunk("so "))
    hub.send(chunk("", kind="end"))
    assert hub._speeches == {}


def test_who_comes_in_the_middle_of_a_secret_does_not_hear_its_rest(hub):
    with hub.listen("r1") as listener:
        hub.send(chunk("hun"))
        assert heard(listener) == []
    with hub.listen("r1") as listener:
        hub.send(chunk("ter22 "))
        assert heard(listener) == [("text", "[redacted] ")]


async def test_a_closed_listener_ends_after_what_waits(hub):
    listener = hub.listen("r1")
    hub.send(chunk("so "))
    listener.close()
    listener.close()
    hub.send(chunk("lost "))
    assert [c.text async for c in listener] == ["so "]


async def test_a_listener_waits_for_what_comes(hub):
    with hub.listen("r1") as listener:
        waiting = asyncio.ensure_future(anext(listener))
        await asyncio.sleep(0)
        assert not waiting.done()
        hub.send(chunk("so "))
        assert (await waiting).text == "so "


# -- what is said ------------------------------------------------------------------------------------------------------


def test_a_secret_over_chunks_is_masked_and_the_rest_comes_with_the_end(hub):
    with hub.listen("r1") as listener:
        for text in ("it is hun", "ter", "22, not hunt"):
            hub.send(chunk(text))
        hub.send(chunk(kind="end"))
        assert heard(listener) == [("text", "it is "), ("text", f"{MASK}, not "), ("text", "hunt"), ("end", "")]
    assert hub._speeches == {}


def test_reasoning_and_text_have_windows_of_their_own(hub):
    with hub.listen("r1") as listener:
        hub.send(chunk("I hun", kind="reasoning"))
        hub.send(chunk("ter22 "))
        assert heard(listener) == [("reasoning", "I "), ("reasoning", "hun"), ("text", "ter22 ")]


def test_answers_do_not_mix(hub):
    with hub.listen("r1") as listener:
        hub.send(chunk("hun", key="k1"))
        hub.send(chunk("ter22 ", key="k2"))
        hub.send(chunk("ter22 ", key="k1"))
        assert [(c.key, c.text) for c in listener.ready()] == [("k2", "ter22 "), ("k1", f"{MASK} ")]


def test_a_reset_forgets_what_is_held(hub):
    with hub.listen("r1") as listener:
        hub.send(chunk("hun"))
        hub.send(chunk(kind="reset"))
        hub.send(chunk("ter22 "))
        assert heard(listener) == [("reset", ""), ("text", "ter22 ")]


def test_the_redactor_is_asked_for_each_chunk():
    known = []
    hub = StreamHub(lambda: Redactor(values=known))
    with hub.listen("r1") as listener:
        hub.send(chunk("hunter22 "))
        known.append("hunter22")
        hub.send(chunk("hunter22 "))
        assert heard(listener) == [("text", "hunter22 "), ("text", f"{MASK} ")]


# -- slow listeners ----------------------------------------------------------------------------------------------------


def test_a_slow_listener_loses_what_waits_and_is_told(hub):
    piece = "x" * 999 + " "
    with hub.listen("r1") as slow, hub.listen("r1") as quick:
        got = 0
        for _ in range(1000):
            hub.send(chunk(piece))
            got += len(heard(quick))
        assert got == 1000
        first, *rest = list(slow.ready())
        assert (first.kind, first.run, first.key) == ("reset", "r1", "")
        assert 0 < len(rest) * (len(piece) + 64) <= QUEUE_LIMIT
        assert all(c.text == piece for c in rest)
        hub.send(chunk("again "))
        assert heard(slow) == [("text", "again ")]


def test_a_chunk_that_is_larger_than_the_queue_is_heard(hub):
    with hub.listen("r1") as listener:
        hub.send(chunk("x " * QUEUE_LIMIT))
        assert [len(c.text) for c in listener.ready()] == [2 * QUEUE_LIMIT]


def test_many_empty_chunks_are_bounded_too(hub):
    with hub.listen("r1") as listener:
        for n in range(20_000):
            hub.send(chunk(kind="reset", key=f"k{n}"))
        assert len(list(listener.ready())) <= QUEUE_LIMIT // 64


# -- with events -------------------------------------------------------------------------------------------------------


async def numbers(*gates):
    for n, gate in enumerate(gates):
        await gate.wait()
        yield n


async def test_events_and_chunks_come_as_they_are_and_end_with_the_events(hub):
    gates = [asyncio.Event() for _ in range(2)]
    found = []
    with hub.listen("r1") as listener:
        async with aclosing(woven(numbers(*gates), listener)) as both:
            hub.send(chunk("before "))
            gates[0].set()
            found += [await anext(both), await anext(both)]
            waiting = asyncio.ensure_future(anext(both))
            await asyncio.sleep(0)
            hub.send(chunk("then "))
            found.append(await waiting)
            gates[1].set()
            found += [item async for item in both]
    assert [item.text if isinstance(item, Chunk) else item for item in found] == ["before ", 0, "then ", 1]


async def test_a_reader_that_leaves_leaves_nothing_behind(hub):
    with hub.listen("r1") as listener:
        async with aclosing(woven(numbers(asyncio.Event()), listener)) as both:
            hub.send(chunk("so "))
            await anext(both)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_an_error_of_the_events_is_passed_on(hub):
    async def broken():
        raise ValueError("no more")
        yield

    with hub.listen("r1") as listener, pytest.raises(ValueError, match="no more"):
        async for _ in woven(broken(), listener):
            pass
