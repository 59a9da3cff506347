"""Handlers of the small workflows."""

import asyncio
import os
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path

from clew import Failure

sys.path.append(str(Path(__file__).parent.parent / "project"))
import world

gate = threading.Event()
finished = threading.Event()


def effect(value, ctx):
    return ctx.effect("deed", world.perform, "deed")


def safe_effect(value, ctx):
    return ctx.effect("deed", world.perform, "deed", repeat_safe=True)


def body(value, ctx):
    return world.perform("deed")


def act(args, context):
    return world.perform(args["name"])


def tool_fail(value, ctx):
    return ctx.call("fail", {"name": "deed"})


def tool_ask(value, ctx):
    return ctx.call("ask", {"name": "deed"})


def tool_retry(value, ctx):
    return ctx.call("retry", {"name": "deed"})


def once(value, ctx):
    deed = ctx.effect("deed", world.perform, "deed", once=True)
    again = ctx.effect("again", world.perform, f"again{ctx.attempt}", repeat_safe=True)
    if ctx.attempt == 1:
        raise Failure("the first attempt fails", code="first")
    return [deed, again]


def crasher(value, ctx):
    """Its process dies whenever it is entered, once the others are under way."""
    world.write("crashes", {"incarnation": world.incarnation()})
    os.kill(os.getpid(), signal.SIGKILL)


def innocent(value, ctx):
    return ctx.effect("work", world.perform, f"{ctx.node_id}/work")


def slow_innocent(value, ctx):
    """Under way whenever the crasher strikes."""
    ctx.effect("begin", world.perform, f"{ctx.node_id}/begin", repeat_safe=True)
    ctx.sleep("20ms")
    return ctx.effect("end", world.perform, f"{ctx.node_id}/end", repeat_safe=True)


async def async_innocent(value, ctx):
    return await ctx.effect("work", world.perform, f"{ctx.node_id}/work", repeat_safe=True)


def hung_thread(value, ctx):
    """In a C call that lets others run, for ever; deaf to what is raised in it."""
    threading.Event().wait()


def busy_thread(value, ctx):
    while True:
        pass


def busy_in_c(value, ctx):
    """One C call that never lets go of the interpreter."""
    world.write("busy", {"pid": os.getpid()})
    return 7 ** (10**10)


async def swallows(value, ctx):
    """Will not be cancelled, and tries to go on acting."""
    while True:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(3600)
        with suppress(BaseException):
            await ctx.effect("more", world.perform, "swallows/more", repeat_safe=True)


def ignores(value, ctx):
    """Takes no notice of Stopped, and tries to go on acting."""
    shut = threading.Event()
    while True:
        try:
            shut.wait(0.001)
            if world.done("ignores/first"):
                ctx.effect("more", world.perform, "ignores/more", repeat_safe=True)
        except BaseException:
            pass


def hung_effect(value, ctx):
    return ctx.effect("hung", threading.Event().wait, repeat_safe=True)


def late(value, ctx):
    """Its effect ends after its time is over; what comes of it must not be delivered."""
    got = ctx.effect("slow", slow_deed, value)
    world.perform(f"delivered {got}")
    ctx.effect("more", world.perform, "late/more", repeat_safe=True)


def slow_deed(value):
    gate.wait(0.3 if value == "within the grace" else None)
    world.perform("slow deed")
    finished.set()
    return "late"


def let_it_end():
    gate.set()
    finished.wait()


def late_check(value, ctx):
    """The recovery lets the abandoned effect end, and sees it recorded before it goes on."""
    ctx.effect("let it end", let_it_end, repeat_safe=True)
    ctx.sleep("50ms")
    return {"code": value["error"]["code"]}


def apart(value, ctx):
    """In a process of its own: ends the engine above it, then holds on to the interpreter so that only a signal ends it."""
    world.write("apart", {"pid": os.getpid()})
    if world.incarnation() == 1:
        os.kill(os.getppid(), signal.SIGKILL if value == "kill" else signal.SIGTERM)
        return 7 ** (10**10)
    return ctx.effect("apart", world.perform, "apart")


def told_to_end(value, ctx):
    """The engine is told to end while the effect is under way."""
    return ctx.effect("deed", _end_and_do, "deed")


def _end_and_do(name):
    if world.incarnation() == 1:
        os.kill(os.getpid(), signal.SIGTERM)
    return world.perform(name)
