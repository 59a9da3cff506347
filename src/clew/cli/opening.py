"""Opening engines for a command, and running its coroutine."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from clew.cli.session import Session
from clew.service.engine import AsyncEngine, open_state

T = TypeVar("T")


def looking_back(session: Session, work: Callable[[AsyncEngine], Awaitable[T]], *, create: bool = False) -> T:
    """Open the state directory, do ``work``, close. Raises NotFound where nothing is kept, unless ``create``."""

    async def whole() -> T:
        async with open_state(session.state, create=create) as engine:
            return await work(engine)

    return asyncio.run(whole())
