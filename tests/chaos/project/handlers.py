"""Handlers of the chaos workflow: synchronous and not, with every kind of effect. What they return never depends on time."""

import sys
from pathlib import Path

from clew import Failure

sys.path.append(str(Path(__file__).parent))
import world


def _name(ctx, what: str) -> str:
    return f"{ctx.task_id}/{ctx.node_id}#{ctx.attempt}/{what}"


def _careful(ctx, what: str, **options) -> str:
    """An effect that must not be done twice: when its outcome is not known, look first."""
    name = options.pop("name", None) or _name(ctx, what)
    try:
        return ctx.effect(what, world.perform, name, **options)
    except Failure as failure:
        if failure.code != "in_doubt":
            raise
        return ctx.effect(f"{what}-look", _reconcile, name, repeat_safe=True)


def _reconcile(name: str) -> str:
    return f"did {name}" if world.done(name) else world.perform(name)


async def intake(value, ctx):
    await ctx.effect("receive", world.perform, _name(ctx, "receive"), repeat_safe=True)
    stamp = ctx.now()
    draw = ctx.random.randrange(1_000_000)
    ctx.log("taken in", items=len(value["items"]))
    assert stamp > 0
    return {**value, "draw": draw}


def price(item, ctx):
    quoted = ctx.call("quote", {"name": _name(ctx, "quote"), "n": item})
    reserved = _careful(ctx, "reserve")
    return {"item": item, "price": quoted, "reserved": reserved}


def quote(args, context):
    world.perform(args["name"])
    return args["n"] * 10


async def grade(value, ctx):
    return {"route": "cheap" if value["item"] % 2 else "dear", **value}


def pack(value, ctx):
    """Fails at first; what it did once stays done."""
    label = _careful(ctx, "label", name=f"{ctx.task_id}/pack/label", once=True)
    tape = ctx.effect("tape", world.perform, _name(ctx, "tape"), repeat_safe=True)
    if ctx.attempt < 3 and value["item"] == 3:
        raise Failure("the box is torn", code="torn")
    return {**value, "label": label, "tape": tape}


async def insure(value, ctx):
    await ctx.effect("premium", world.perform, _name(ctx, "premium"), repeat_safe=True)
    if value["item"] == 4:
        raise Failure("nobody insures this", code="uninsurable", details={"item": 4})
    return {**value, "insured": True}


def refuse(value, ctx):
    return {**value["input"], "insured": False, "why": value["error"]["code"]}


def meet(value, ctx):
    (one,) = value["merge_inputs"]
    return {**one["output"], "legs": [one["output"]["item"] * 100 + i for i in range(2)]}


async def leg(value, ctx):
    await ctx.effect("drive", world.perform, _name(ctx, "drive"), repeat_safe=True)
    if value == 201:
        raise Failure("the road is closed", code="closed")
    return {"leg": value, "lot": ctx.random.randrange(100)}


def joined(value, ctx):
    return {
        "legs": [m["output"] for m in value["merge_inputs"]],
        "lost": [f["error"]["code"] for f in value["failures"]],
    }


async def gathered(value, ctx):
    return {
        "items": [m["output"] for m in value["merge_inputs"]],
        "status": [m["status"] for m in value["merge_inputs"]],
    }


def invoice(value, ctx):
    return {**value, "invoice": _careful(ctx, "invoice")}


def propose(value, ctx):
    name = _name(ctx, "ticket")
    try:
        ticket = ctx.call("file_ticket", {"name": name})
    except Failure as failure:
        if failure.code != "in_doubt":
            raise
        ticket = ctx.effect("look", _reconcile, name, repeat_safe=True)
    return {"ticket": ticket, "seats": 2}


def file_ticket(args, context):
    return world.perform(args["name"])


async def sure(value, ctx):
    return {**value, "sure": True}


def booked(value, ctx):
    """Touches the world by itself; doing it again does no harm (on_in_doubt: retry)."""
    return {**value, "booked": world.perform(_name(ctx, "body"))}


async def question(value, ctx):
    answer, noted = await ctx.gather(
        ctx.ask("how many?", {"type": "integer"}),
        ctx.effect("note", world.perform, _name(ctx, "note"), repeat_safe=True),
    )
    return {"answer": answer, "noted": noted}


def nap(value, ctx):
    before = ctx.effect("lights-out", world.perform, _name(ctx, "lights-out"), repeat_safe=True)
    ctx.sleep("5ms")
    after = ctx.effect("wake", world.perform, _name(ctx, "wake"), repeat_safe=True)
    return {**value, "nap": [before, after]}


async def parallel(value, ctx):
    async def strand(part, n):
        first = await part.effect("one", world.perform, _name(ctx, f"strand{n}.1"))
        second = await part.effect("two", world.perform, _name(ctx, f"strand{n}.2"))
        return [first, second]

    strands = await ctx.gather(*(strand(ctx.part(f"s{n}"), n) for n in range(3)))
    return {**value, "strands": strands}


async def delegate(value, ctx):
    child = await ctx.run("child", {"n": len(value["items"])})
    return {"child": child["output"], "isolated": value["isolated"]}


async def where(value, ctx):
    return {"route": "elsewhere" if value["isolated"] else "here", **value}


def isolated(value, ctx):
    return {**value, "isolated": ctx.effect("apart", world.perform, _name(ctx, "apart")), "draw": ctx.random.random()}


async def plain(value, ctx):
    return {**value, "isolated": None}


def only(value, ctx):
    return value["merge_inputs"][0]["output"]


def left(value, ctx):
    ctx.effect("push", world.perform, _name(ctx, "push"), repeat_safe=True)
    raise ValueError("the left side is broken")


async def right(value, ctx):
    return {"right": value["draw"]}


def both(value, ctx):
    return [m["status"] for m in value["merge_inputs"]]


def together(value, ctx):
    return {"arms": [m["output"] for m in value["merge_inputs"]], "failed": len(value["failures"])}


async def reckon(value, ctx):
    return {"route": "large" if len(value["arms"]) > 2 else "small", **value}


def audit(value, ctx):
    return {**value, "audit": _careful(ctx, "seal")}


def thrice(value, ctx):
    return value
