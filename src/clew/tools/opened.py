"""A sandbox for one call, closed whatever becomes of the call."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from clew.gate.ports.sandbox import Profile, Sandbox, SandboxBackend


@asynccontextmanager
async def opened(backend: SandboxBackend, profile: Profile) -> AsyncGenerator[Sandbox]:
    """Acquire in a thread, and close: also one that is there only after the call was cancelled. Raises as ``acquire``."""
    acquiring = asyncio.ensure_future(asyncio.to_thread(backend.acquire, profile))
    try:
        sandbox = await asyncio.shield(acquiring)
    except asyncio.CancelledError:
        acquiring.add_done_callback(_discard)
        raise
    try:
        yield sandbox
    finally:
        await asyncio.shield(asyncio.to_thread(sandbox.close))


def _discard(acquired: "asyncio.Future[Sandbox]") -> None:
    if not acquired.cancelled() and acquired.exception() is None:
        acquired.get_loop().run_in_executor(None, acquired.result().close)
