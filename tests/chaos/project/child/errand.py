"""Handlers of the child run."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent))
import world


def steps(value, ctx):
    for n in range(value["n"] - 1):
        ctx.effect("step", world.perform, f"errand/{ctx.task_id}/{ctx.node_id}#{ctx.attempt}/step{n}")
    return {"steps": value["n"] - 1}


async def rest(value, ctx):
    await ctx.sleep("2ms")
    return value
