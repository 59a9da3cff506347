"""A process that drives runs on command: one JSON line in, one out, in order; its state lives until it is told to end or dies.

``python puppet.py PROJECT STATE``. Commands name a method of ``Puppet`` and its arguments.
"""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

from clew.core.errors import ClewError
from clew.service import runs
from clew.service.engine import open_project


class Puppet:
    """What a test may ask of the process."""

    def __init__(self, project: str, state: str) -> None:
        self.engine = open_project(project, state=state)

    async def start(self, value: Any, start: str | None = None) -> str:
        """Begin a run and keep driving it."""
        return (await self.engine.start(value, start)).run_id

    async def settle(self, run: str) -> dict[str, Any]:
        """Until the run that is driven here waits for somebody, or has ended."""
        host = self.engine.workspace.scheduler.hosts.get(run)
        if host is not None:
            await host.settled()
        return await self.stands(run)

    async def end(self, run: str) -> dict[str, Any]:
        """Until the run has ended, whoever drives it."""
        async for _ in self.engine.follow(run):
            pass
        return await self.stands(run)

    async def stands(self, run: str) -> dict[str, Any]:
        result = await self.engine.result(run)
        return {"state": result.state, "status": result.status, "output": result.output,
                "waiting": [w.key for w in result.waiting]}  # fmt: skip

    async def resume(self, run: str | None = None) -> list[str]:
        return [r.run_id for r in await self.engine.resume(run)]

    async def take(self, run: str) -> str:
        """Become the driver and stay it."""
        return (await runs.resume(self.engine.workspace, run)).run

    async def approve(self, run: str, value: Any, key: str | None = None) -> str:
        return (await self.engine.approve(run, value, key=key)).state

    async def tell(
        self, run: str, kind: Any, key: str = "", body: dict[str, Any] | None = None, times: int = 1
    ) -> None:
        for _ in range(times):
            await runs.tell(self.engine.workspace, run, kind, key, body or {"by": "puppet"})

    async def put(self, run: str, messages: list[tuple[Any, str, dict[str, Any]]]) -> None:
        """Straight into the inbox."""
        for kind, key, body in messages:
            await self.engine.workspace.journal.put_message(run, kind, key, body)

    async def until(self, run: str, fact: str, count: int = 1) -> int:
        """Until the run's journal holds so many facts of a type; the sequence number of the last of them."""
        async for record in self.engine.follow(run):
            if type(record.event.fact).__name__ == fact:
                count -= 1
                if count == 0:
                    return record.seq
        raise AssertionError(f"the run ended without {fact}")

    async def facts(self, run: str) -> list[str]:
        return [type(r.event.fact).__name__ for r in await self.engine.workspace.journal.read(run)]

    async def left(self, run: str) -> int:
        return len(await self.engine.workspace.journal.messages([run]))

    async def rows(self) -> list[tuple[str, str, str]]:
        return [(row.run, row.state, row.owner) for row in await self.engine.runs()]

    async def many(self, inputs: list[Any], start: str | None = None) -> list[str]:
        """Several runs at once, to their ends."""
        handles = [await self.engine.start(i, start) for i in inputs]
        return [(await handle.result()).state for handle in handles]

    async def verify(self) -> list[str]:
        return [str(finding) for finding in await self.engine.verify()]

    async def close(self) -> None:
        await self.engine.close()


async def serve(puppet: Puppet) -> None:
    reader = asyncio.StreamReader(limit=1 << 24)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(0, "rb", buffering=0))
    while line := await reader.readline():
        name, *args = json.loads(line)
        try:
            told: dict[str, Any] = {"value": await getattr(puppet, name)(*args)}
        except ClewError as error:
            told = {"error": type(error).__name__, "code": error.code, "message": str(error)}
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    Path("incarnation").write_text("1")
    asyncio.run(serve(Puppet(sys.argv[1], sys.argv[2])))
