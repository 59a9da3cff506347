"""A provider that speaks like a model: 50 pieces a second, the first of which is the time at which it was written.

    python bench/paced.py

Prints its port and serves until it is ended. Its answer is long where the request says "at length".
"""

import asyncio
import time
from types import ModuleType
from typing import Any

from clew.testing import FakeProvider
from clew.testing.provider.script import Seen, Step

PACE = 0.02
STAMP = "0" * 20
"""In its place goes the time: monotonic, in nanoseconds, as wide."""
PIECES = {False: 8, True: 100}


class Slowly:
    """A writer that rests after every piece."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer

    def write(self, data: bytes) -> None:
        self._writer.write(data.replace(STAMP.encode(), b"%020d" % time.monotonic_ns()))

    async def drain(self) -> None:
        await self._writer.drain()
        await asyncio.sleep(PACE)


class Paced(FakeProvider):
    async def _stream(
        self, step: Step, seen: Seen, wire: ModuleType, reader: asyncio.StreamReader, writer: Any
    ) -> bool:
        return await super()._stream(step, seen, wire, reader, Slowly(writer))


def answer(seen: Seen) -> Step:
    return Step(text=STAMP + "and so on and on and " * PIECES[b"at length" in seen.raw], chunk=len(STAMP))


async def main() -> None:
    async with Paced(script=answer) as provider:
        print(provider.port, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
