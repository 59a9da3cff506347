import asyncio
import threading

import msgspec
import pytest

from clew.core.errors import Failure, Stopped
from clew.gate.effect import Effect
from clew.gate.ports.tool import Permissions as SpecPermissions
from clew.gate.ports.tool import ToolSpec
from clew.manifest.compiled import Permissions, ToolPlan
from clew.runtime.threads import Threads
from clew.tools.driver import HandlerTool, Means, ToolDriver, spec_of

OBJECT = {"type": "object", "properties": {"n": {"type": "integer"}}}


class Plan(msgspec.Struct):
    tools: dict[str, ToolPlan]


class Work:
    """A tool that does what a test says."""

    def __init__(self, do, outputs=None, root=None):
        self.spec = ToolSpec(
            id="work", description="", inputs=OBJECT, outputs=outputs, permissions=SpecPermissions(root=root)
        )
        self._do = do

    async def call(self, args, context):
        return await self._do(args, context)


def perform(tool, tmp_path, plan=None, request=None, **fields):
    plan = plan or ToolPlan(type="builtin")
    driver = ToolDriver(Plan(tools={"work": plan}), tmp_path, {"work": tool}, Means(**fields))
    return driver.perform(
        Effect(key="t/n#1/1", kind="tool", name="work", request=request or {}, task="t", node="n", run="r")
    )


async def failure_of(awaitable):
    with pytest.raises(Failure) as caught:
        await awaitable
    return caught.value


async def test_what_a_tool_is_given(tmp_path):
    seen = []

    async def do(args, context):
        seen.append(context)
        return {"n": args["n"], "pair": (1, 2)}

    secrets = object()
    assert await perform(Work(do), tmp_path, request={"n": 1}, secrets=secrets) == {"n": 1, "pair": [1, 2]}
    context = seen[0]
    assert (context.project_dir, context.root, context.sandbox) == (tmp_path, tmp_path, None)
    assert context.secrets is secrets
    assert context.idempotency_key == "r:t/n#1/1"
    context.progress(0.5, "to nobody")


@pytest.mark.parametrize(
    ("declared", "own", "root"), [("src", ".", "src"), (None, "lib", "lib"), (None, None, "."), ("src", None, "src")]
)
async def test_the_declared_root_comes_first(tmp_path, declared, own, root):
    async def do(args, context):
        return str(context.root)

    plan = ToolPlan(type="builtin", permissions=Permissions(root=declared))
    assert await perform(Work(do, root=own), tmp_path, plan) == str(tmp_path / root)


async def test_arguments_and_outputs_are_checked(tmp_path):
    async def do(args, context):
        return {"n": "no number"}

    assert (await failure_of(perform(Work(do), tmp_path, request={"n": "x"}))).code == "invalid_arguments"
    assert (await failure_of(perform(Work(do, outputs=OBJECT), tmp_path))).code == "invalid_tool_output"


async def test_time_is_limited(tmp_path):
    ended = []

    async def do(args, context):
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    failure = await failure_of(perform(Work(do), tmp_path, ToolPlan(type="builtin", timeout_ms=20)))
    assert failure.code == "tool_timeout"
    assert ended == [True]


async def test_a_time_out_of_the_tool_itself_is_its_own(tmp_path):
    async def do(args, context):
        raise TimeoutError("the printer")

    failure = await failure_of(perform(Work(do), tmp_path))
    assert (failure.code, "the printer" in str(failure)) == ("timeout", True)


async def test_the_default_limit_is_five_minutes():
    assert ToolPlan(type="builtin").timeout_ms == 300_000


class Ear:
    def __init__(self):
        self.chunks = []

    def wanted(self, run):
        return True

    def send(self, chunk):
        self.chunks.append((chunk.kind, chunk.text, chunk.fraction))


async def test_progress_is_told_and_ended(tmp_path):
    ear = Ear()

    async def do(args, context):
        context.progress(0.5, "half")
        await asyncio.sleep(0)
        raise Failure("no", code="no")

    assert (await failure_of(perform(Work(do), tmp_path, streams=ear))).code == "no"
    assert ear.chunks == [("progress", "half", 0.5), ("end", "", None)]


def handler(fn, threads, *, asynchronous=False):
    spec = spec_of("work", ToolPlan(type="handler", description="d", repeat_safe=True))
    return HandlerTool(spec, lambda: (fn, asynchronous), threads.run, threads.interrupt)


@pytest.fixture
def threads():
    made = Threads()
    yield made
    made.close()


async def test_functions(tmp_path, threads):
    async def later(args, context):
        return threading.get_ident()

    here = threading.get_ident()
    assert await perform(handler(later, threads, asynchronous=True), tmp_path) == here
    assert await perform(handler(lambda args, context: threading.get_ident(), threads), tmp_path) != here


async def test_cancelling_a_function_stops_its_thread(tmp_path, threads):
    begun, stopped = threading.Event(), threading.Event()

    def busy(args, context):
        begun.set()
        try:
            while True:
                pass
        except Stopped:
            stopped.set()
            raise

    task = asyncio.create_task(perform(handler(busy, threads), tmp_path))
    await asyncio.to_thread(begun.wait, 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(stopped.wait, 5)


async def test_without_an_interrupt_the_thread_is_left(tmp_path, threads):
    begun, go = threading.Event(), threading.Event()

    def waits(args, context):
        begun.set()
        return go.wait(5)

    tool = HandlerTool(spec_of("work", ToolPlan(type="handler")), lambda: (waits, False), threads.run)
    task = asyncio.create_task(perform(tool, tmp_path))
    await asyncio.to_thread(begun.wait, 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go.set()


def test_what_a_declaration_tells():
    plan = ToolPlan(type="handler", permissions=Permissions(root="a", network=True, shell=True), risk="high")
    spec = spec_of("work", plan)
    assert (spec.permissions.root, spec.permissions.network, spec.permissions.shell) == ("a", True, True)
    assert (spec.risk, spec.mutates, spec.repeat_safe, spec.inputs) == ("high", True, False, {"type": "object"})
