"""Several things at once, where all settle before anything is raised: a wait of one must not lose what the others did."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from typing import Any

from clew.core.errors import Interrupt

Work = Awaitable[Any] | Callable[[], Awaitable[Any]]


class _Raised:
    """An exception as a value."""

    __slots__ = ("error",)

    def __init__(self, error: BaseException) -> None:
        self.error = error


async def all_settled(work: Sequence[tuple[Work, Context | None]]) -> list[Any]:
    """Results in order, each thing done in its own task and context (None: a copy of this one).

    Raises the first interrupt, else the first failure, in order. Cancelled, it cancels them and waits until they are gone.
    """
    loop = asyncio.get_running_loop()
    tasks = [loop.create_task(_settled(one), context=context) for one, context in work]
    try:
        results = await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
    raised = [r.error for r in results if isinstance(r, _Raised)]
    if raised:
        raise min(raised, key=lambda e: not isinstance(e, Interrupt))
    return results


async def _settled(work: Work) -> Any:
    try:
        return await (work() if callable(work) else work)
    except asyncio.CancelledError:
        raise
    except BaseException as error:
        return _Raised(error)
