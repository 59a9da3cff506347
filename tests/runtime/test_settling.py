"""Several things at once: all settle before anything is raised."""

import asyncio
import contextvars

import pytest

from clew.core.errors import Failure, Stopped, Suspended
from clew.runtime.settling import all_settled

did = contextvars.ContextVar("did", default=0)


def raising(error, seen):
    async def work():
        await asyncio.sleep(0)
        seen.append(error)
        raise error

    return work


async def test_results_come_in_order_each_in_its_context():
    context = contextvars.copy_context()
    context.run(did.set, 5)

    async def value():
        return did.get()

    assert await all_settled([(value, None), (value(), context), (value, None)]) == [0, 5, 0]


@pytest.mark.parametrize(
    ("errors", "first"),
    [([Failure("a"), Failure("b")], 0), ([Failure("a"), Suspended()], 1), ([Failure("a"), Stopped(), Suspended()], 1)],
)
async def test_all_settle_and_an_interrupt_goes_first(errors, first):
    seen = []
    with pytest.raises(type(errors[first])) as caught:
        await all_settled([(raising(error, seen), None) for error in errors])
    assert seen == errors
    assert caught.value is errors[first]


async def test_cancelled_it_leaves_nothing_behind():
    gone = []

    async def hang():
        try:
            await asyncio.Event().wait()
        finally:
            gone.append(1)

    task = asyncio.create_task(all_settled([(hang, None), (hang, None)]))
    await asyncio.sleep(0.0)
    await asyncio.sleep(0.0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert gone == [1, 1]
