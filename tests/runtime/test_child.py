"""The far end of ``isolation: process``, driven over its socket by the test in the engine's place."""

import asyncio
import json
import os
import socket
import sys

import pytest

from clew.runtime import child
from clew.testing.clock import settle

IDS = {"run_id": "r", "task_id": "0", "node_id": "a", "attempt": 1, "seed": 0, "context": {"items": []}}


class Ended(BaseException):
    """Instead of ``os._exit``."""


class Engine:
    """This end of the socket."""

    def __init__(self, reader, writer):
        self._reader, self._writer = reader, writer

    async def hear(self):
        return json.loads(await asyncio.wait_for(self._reader.readline(), 10))

    def say(self, message):
        self._writer.write(json.dumps(message).encode() + b"\n")

    def close(self):
        self._writer.close()


@pytest.fixture
async def enter(tmp_path, monkeypatch):
    """``enter(source, value)``: the engine's end, and the child's main as a task."""
    codes, made = [], []
    monkeypatch.setattr(sys, "path", list(sys.path))

    def exit_(code):
        codes.append(code)
        raise Ended

    monkeypatch.setattr(child.os, "_exit", exit_)

    async def begin(source, value=None, handler="h:a"):
        (tmp_path / "h.py").write_text(source)
        ours, theirs = socket.socketpair()
        engine = Engine(*await asyncio.open_connection(sock=ours))
        task = asyncio.create_task(_main(theirs.detach()))
        engine.say({"project": str(tmp_path), "handler": handler, "input": value, "ids": IDS})
        made.append((engine, task))
        return engine

    async def _main(fd):
        try:
            await child._main(fd)
        except Ended:
            return

    class Link(child._Link):
        def __init__(self, reader, writer):
            super().__init__(reader, writer)
            links.append(writer)

    links = []
    monkeypatch.setattr(child, "_Link", Link)
    yield begin
    for engine, task in made:
        engine.close()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    for writer in links:
        writer.close()
    await settle(5)


async def test_a_result_is_said(enter):
    engine = await enter(
        "def a(input, ctx):\n    return [input, ctx.run_id, ctx.node_id, ctx.attempt, ctx.context]\n", 5
    )
    assert await engine.hear() == {"result": [5, "r", "a", 1, {"items": []}]}


async def test_a_synchronous_handler(enter):
    engine = await enter("def a(input, ctx):\n    return ctx.now()\n")
    asked = await engine.hear()
    assert (asked["method"], asked["args"], asked["part"]) == ("now", [], "")
    engine.say({"id": asked["id"], "value": 77})
    assert await engine.hear() == {"result": 77}


@pytest.mark.parametrize(
    ("call", "method", "args", "options"),
    [
        ("ctx.call('t', {'x': 1})", "call", ["t", {"x": 1}], {}),
        ("ctx.model('m', [], top=1)", "model", ["m", []], {"top": 1}),
        ("ctx.agent('w', 1)", "agent", ["w", 1], {}),
        ("ctx.ask('?', {'type': 'string'}, timeout=5)", "ask", ["?", {"type": "string"}], {"timeout": 5}),
        ("ctx.sleep('1s')", "sleep", ["1s"], {}),
        ("ctx.run('../w', 3)", "run", ["../w", 3], {}),
        ("ctx.log('x', n=1)", "log", ["x"], {"n": 1}),
        ("ctx.search('x', scope=('task',), k=3)", "search", [], {"text": "x", "scope": ["task"], "k": 3}),
        ("ctx.remember('i', 'x')", "remember", [], {"id": "i", "text": "x", "metadata": None}),
        ("ctx.merge('i', 'x', base=2)", "merge", [], {"id": "i", "text": "x", "metadata": None, "base": 2}),
        ("ctx.forget('i', 'j', scope='task')", "forget", ["i", "j"], {"scope": "task"}),
    ],
)
async def test_each_name_travels(enter, call, method, args, options):
    engine = await enter(f"async def a(input, ctx):\n    return await {call}\n")
    asked = await engine.hear()
    assert (asked["method"], asked["args"], asked["options"]) == (method, args, options)
    engine.say({"id": asked["id"], "value": "answer"})
    assert await engine.hear() == {"result": None if method in ("sleep", "log", "forget") else "answer"}


@pytest.mark.parametrize("prefix", ["async def", "def"])
async def test_an_effect_is_performed_when_the_engine_says_so(enter, prefix):
    source = """
async def a(input, ctx):
    {} f(x, idempotency_key):
        return [x, idempotency_key]
    return await ctx.effect("e", f, 3, once=True)
"""
    engine = await enter(source.format(prefix))
    asked = await engine.hear()
    assert (asked["method"], asked["args"], asked["options"]) == ("effect", ["e", 3], {"once": True})
    engine.say({"perform": asked["id"], "key": "k"})
    assert await engine.hear() == {"performed": asked["id"], "value": [3, "k"]}
    engine.say({"id": asked["id"], "value": "recorded"})
    assert await engine.hear() == {"result": "recorded"}


async def test_a_failing_effect_says_its_code(enter):
    engine = await enter("""
from clew import Failure
async def a(input, ctx):
    def f():
        raise Failure("no", code="mine", details=1)
    await ctx.effect("e", f)
""")
    asked = await engine.hear()
    engine.say({"perform": asked["id"], "key": ""})
    error = {"code": "mine", "message": "no", "details": 1}
    assert await engine.hear() == {"performed": asked["id"], "error": error}
    engine.say({"id": asked["id"], "error": error})
    assert await engine.hear() == {"failure": error}


async def test_a_bug_says_its_type(enter):
    engine = await enter("async def a(input, ctx):\n    1 / 0\n")
    assert await engine.hear() == {
        "failure": {"code": "error", "message": "ZeroDivisionError: division by zero", "details": None}
    }


async def test_a_handler_that_is_not_there(enter):
    engine = await enter("", handler="h:nothing")
    assert (await engine.hear())["failure"]["code"] == "handler"


async def test_parts_and_groups_have_paths_of_their_own(enter):
    engine = await enter(
        "async def a(input, ctx):\n    p = ctx.part('p')\n    await p.now()\n    await p.part('q').now()\n"
        "    return await ctx.gather(ctx.now(), lambda: p.now())\n"
    )
    paths = []
    for _ in range(4):
        asked = await engine.hear()
        paths.append(asked["part"])
        engine.say({"id": asked["id"], "value": asked["id"]})
    assert paths[:2] == ["p", "p/q"]
    assert len(set(paths)) == 4 or paths[3] == "p"
    assert "result" in await engine.hear()


async def test_blocking_code_in_the_child(enter):
    engine = await enter("async def a(input, ctx):\n    return await ctx.in_thread(lambda: 'here')\n")
    assert await engine.hear() == {"result": "here"}


async def test_chance_is_derived(enter):
    source = "async def a(input, ctx):\n    return [ctx.random.random(), ctx.part('p').random.random()]\n"
    first = await (await enter(source)).hear()
    second = await (await enter(source)).hear()
    assert first == second
    assert first["result"][0] != first["result"][1]


async def test_without_its_engine_it_ends(enter):
    engine = await enter("async def a(input, ctx):\n    await ctx.now()\n")
    await engine.hear()
    engine.close()
    await asyncio.sleep(0)


def test_it_asks_to_die_with_its_engine(monkeypatch):
    ran = []

    async def main(fd):
        ran.append(fd)

    monkeypatch.setattr(child, "_main", main)
    monkeypatch.setattr(sys, "argv", ["child", "7"])
    monkeypatch.setattr(child.ctypes, "CDLL", lambda _: type("C", (), {"prctl": lambda self, *a: ran.append(a)})())
    child.main()
    assert ran == [(1, 9), 7]


def test_an_engine_that_died_before_it_could_ask(monkeypatch):
    parents = iter([100, 1])
    monkeypatch.setattr(os, "getppid", lambda: next(parents))
    monkeypatch.setattr(child.ctypes, "CDLL", lambda _: type("C", (), {"prctl": lambda self, *a: None})())
    monkeypatch.setattr(child.asyncio, "run", lambda work: pytest.fail("entered"))
    child.main()
