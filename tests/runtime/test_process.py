"""``isolation: process``: the same ``ctx`` at the far end of a socket, in a process that can be killed (W9)."""

import asyncio
import os
from pathlib import Path

import pytest

from clew.core import events as ev
from clew.testing import ManualClock, ScriptedHuman


@pytest.fixture
def clock():
    return ManualClock(auto=True)


@pytest.fixture
def apart(solo):
    return lambda handlers, **fields: solo(handlers, isolation="process", **fields)


def effects(result):
    return [r.event.fact.key for r in result.history if isinstance(r.event.fact, ev.EffectFinished)]


async def test_a_handler_runs_in_a_process_of_its_own(apart):
    result = await apart(
        "import os\nasync def a(input, ctx):\n    return [os.getpid(), input, ctx.run_id, ctx.task_id]\n"
    ).run(5)
    pid, value, run, task = result.output
    assert pid != os.getpid()
    assert (value, run, task) == (5, result.run_id, "0")
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_it_inherits_no_environment_that_could_hold_a_secret(apart, monkeypatch):
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    result = await apart("import os\nasync def a(input, ctx):\n    return sorted(os.environ)\n").run()
    assert "SECRET_TOKEN" not in result.output
    assert "PATH" in result.output


EVERYTHING = """
    import os
    {a}def a(input, ctx):
        def here(x, idempotency_key=None):
            return [x, os.getpid() == pid, idempotency_key.rpartition(":")[2]]
        pid = os.getpid()
        effect = {w}ctx.effect("e", here, 3)
        now = {w}ctx.now()
        {w}ctx.log("halfway", n=1)
        chance = ctx.random.random()
        part = {w}ctx.part("p").effect("e", lambda: "part")
        asked = {w}ctx.ask("how many?", {{"type": "integer"}})
        return [effect, asked, part, now, chance]
"""


@pytest.mark.parametrize(("a", "w"), [("async ", "await "), ("", "")], ids=["async", "sync"])
async def test_the_same_names_work_and_waits_unload_the_process(apart, clock, caplog, a, w):
    caplog.set_level("INFO", "clew.handler")
    engine = apart(EVERYTHING.format(a=a, w=w))
    began = clock.now()
    result = await engine.run()
    assert result.state == "waiting", result.error
    result = await ScriptedHuman(4).attend(engine, result)
    assert result.output[:4] == [[3, True, "0/a#1/1"], 4, "part", began]
    assert effects(result)[:3] == ["0/a#1/1", "0/a#1/2", "0/a#1/p.1"]
    assert "halfway" in caplog.text


async def test_chance_is_the_same_as_in_a_thread(apart, solo, tmp_path):
    source = "async def a(input, ctx):\n    return [ctx.random.random(), ctx.part('p').random.random()]\n"
    there = (await apart(source).run()).output
    here = (await solo(source).run()).output
    assert there == here


async def test_gather_in_the_child(apart):
    result = await apart("""
        async def a(input, ctx):
            async def work(i):
                return await ctx.effect("e", lambda: i)
            return await ctx.gather(work(1), lambda: work(2))
    """).run()
    assert result.output == [1, 2]
    assert len(set(effects(result))) == 2


async def test_sleep_and_blocking_work(apart):
    result = await apart("""
        async def a(input, ctx):
            await ctx.sleep("1h")
            return await ctx.in_thread(lambda: "slept")
    """).run()
    assert result.output == "slept"


async def test_a_failure_comes_back_with_code_and_details(apart):
    result = await apart("""
        from clew import Failure
        async def a(input, ctx):
            raise Failure("no", code="mine", details=[1])
    """).run()
    assert result.error == {"code": "mine", "message": "no", "details": [1]}


async def test_a_bug_comes_back_as_an_error(apart):
    result = await apart("async def a(input, ctx):\n    return 1 / 0\n").run()
    assert (result.error["code"], "ZeroDivisionError" in result.error["message"]) == ("error", True)


async def test_a_failing_effect_can_be_handled_in_the_child(apart):
    result = await apart("""
        from clew import Failure
        def bad():
            raise Failure("no paper", code="paper", details={"tray": 1})
        async def a(input, ctx):
            try:
                await ctx.effect("print", bad)
            except Failure as failure:
                first = [failure.code, failure.details]
            try:
                await ctx.call("nothing")
            except Failure as failure:
                return [first, failure.code]
    """).run()
    assert result.output == [["paper", {"tray": 1}], "tool_not_allowed"]


async def test_a_child_that_is_killed_is_named(apart):
    result = await apart(
        "import os, signal\nasync def a(input, ctx):\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    ).run()
    assert result.error["code"] == "crashed_process"
    assert "signal 9" in result.error["message"]


async def test_a_child_that_exits_is_named(apart):
    result = await apart("import os\nasync def a(input, ctx):\n    os._exit(3)\n").run()
    assert "exit code 3" in result.error["message"]


async def test_a_killed_child_may_be_tried_again(apart):
    result = await apart(
        "import os\nasync def a(input, ctx):\n    if ctx.attempt == 1:\n        os._exit(3)\n    return ctx.attempt\n",
        retry={"max_attempts": 2},
    ).run()
    assert result.output == 2


@pytest.mark.parametrize(
    "body", ["while True: pass", "import time; time.sleep(60)", "import threading; threading.Event().wait()"]
)
async def test_a_timeout_kills_whatever_it_does(apart, clock, tmp_path, body):
    clock._auto = False
    engine = apart(
        f"import os\ndef a(input, ctx):\n    open(input, 'w').write(str(os.getpid()))\n    {body}\n", timeout="1s"
    )
    handle = await engine.start(str(tmp_path / "pid"))
    pid = await written(tmp_path / "pid")
    clock.advance(1_000)
    assert (await handle.result()).error["code"] == "timeout"
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def written(path):
    for _ in range(2_000):
        if path.exists() and path.read_text():
            return int(path.read_text())
        await asyncio.sleep(0.005)
    raise AssertionError("the child wrote nothing")


async def test_its_whole_process_group_dies_with_it(apart, clock, tmp_path):
    clock._auto = False
    engine = apart(
        """
        import subprocess, time
        from pathlib import Path
        def a(input, ctx):
            Path(input).write_text(str(subprocess.Popen(["sleep", "60"]).pid))
            time.sleep(60)
    """,
        timeout="1s",
    )
    handle = await engine.start(str(tmp_path / "pid"))
    pid = await written(tmp_path / "pid")
    clock.advance(1_000)
    await handle.result()
    for _ in range(400):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return
        except OSError:
            return
        await asyncio.sleep(0.005)
    pytest.fail("the grandchild lives")


async def test_a_non_json_result_is_an_error(apart):
    result = await apart("async def a(input, ctx):\n    return {1, 2}\n").run()
    assert result.status == "failure"
    assert result.error["code"] == "error"


async def test_a_model_is_dumped_in_the_child(apart):
    result = await apart(
        "class M:\n    def model_dump(self, mode):\n        return {'m': mode}\ndef a(input, ctx):\n    return M()\n"
    ).run()
    assert result.output == {"m": "json"}


async def test_a_process_that_cannot_be_started(apart, monkeypatch):
    async def refuse(*args, **kwargs):
        raise OSError("too many processes")

    monkeypatch.setattr(asyncio, "create_subprocess_exec", refuse)
    result = await apart("async def a(input, ctx):\n    return 1\n").run()
    assert "too many processes" in result.error["message"]


async def test_a_wait_lets_the_other_effects_of_the_child_settle_first(apart):
    """Else they would be in doubt on the next entry, although nothing went wrong."""
    engine = apart("""
        import time
        async def a(input, ctx):
            def slow():
                time.sleep(0.3)
                return "paid"
            return await ctx.gather(ctx.ask("?"), ctx.effect("pay", slow))
    """)
    result = await ScriptedHuman(1).attend(engine, await engine.run())
    assert result.output == [1, "paid"], result.error


async def test_a_wait_beside_a_failure_in_the_child(apart):
    engine = apart("""
        async def a(input, ctx):
            async def bad():
                raise ValueError("no")
            return await ctx.gather(ctx.ask("?"), bad())
    """)
    result = await engine.run()
    assert result.state == "waiting", result.error
    result = await ScriptedHuman(1).attend(engine, result)
    assert "ValueError: no" in result.error["message"]


async def test_a_synchronous_gather_in_the_child(apart):
    result = await apart("""
        def a(input, ctx):
            return ctx.gather(lambda: ctx.effect("e", lambda: 1), lambda: ctx.effect("e", lambda: 2))
    """).run()
    assert result.output == [1, 2]
    assert len(set(effects(result))) == 2


MEMORY = """
    {a}def a(input, ctx):
        first = {w}ctx.remember("pump", "The pump leaks.", {{"lang": "en"}}, expected=0)
        found = {w}ctx.search("leaking pump", scope=["project", "task"], k=1, filter={{"term": {{"lang": "en"}}}})
        try:
            {w}ctx.remember("pump", "x", expected=0)
        except Exception as error:
            conflict = error.code
        {w}ctx.forget("pump", "nobody", scope="project")
        return [first, found[0]["text"], conflict, {w}ctx.search("leaking"), ctx.context["items"]]
"""


@pytest.mark.parametrize(("a", "w"), [("async ", "await "), ("", "")])
async def test_memory_is_the_same_in_the_child(apart, a, w):
    result = await apart(MEMORY.format(a=a, w=w), context="global").run()
    assert result.output == [1, "The pump leaks.", "version_conflict", [], []]
    assert effects(result) == ["0/a#1/context", *(f"0/a#1/{n}" for n in range(1, 6))]


@pytest.mark.parametrize("isolation", ["none", "process"])
async def test_what_makes_no_sense_to_memory_is_said(solo, isolation):
    handlers = """
    async def a(input, ctx):
        deep = []
        deep.append(deep)
        said = []
        for call in (
            lambda: ctx.search("x", scope=7), lambda: ctx.search("\\ud800"), lambda: ctx.search(b"x"), lambda: ctx.search(7),
            lambda: ctx.search("x", filter={1: 2}), lambda: ctx.remember("a", "x", {"b": object()}), lambda: ctx.forget(7),
            lambda: ctx.remember("a", "x", {"b": deep}), lambda: ctx.remember("a", "x", []), lambda: ctx.search("x", huh=1),
        ):
            try:
                await call()
            except Exception as error:
                said.append([error.code, str(error)])
        return said
    """
    fields = {} if isolation == "none" else {"isolation": isolation}
    said = (await solo(handlers, **fields).run()).output
    assert [code for code, _ in said] == ["invalid_request"] * 10
    assert said[0][1] == "ctx.search: scope is 7 (global, project, session, task, or a list of them)"
    assert "a lone surrogate, at character 0" in said[1][1]
    assert "contains itself" in said[7][1]


async def test_arguments_that_make_no_sense_do_not_keep_the_child_waiting(apart):
    result = await apart("async def a(input, ctx):\n    await ctx.sleep('banana')\n").run()
    assert "banana" in result.error["message"]
