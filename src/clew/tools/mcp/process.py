"""The process of an MCP server: started with a minimal environment, heard over pipes, never outliving the engine."""

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import cast

KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "TZ")
"""What a server gets of the engine's environment; all else has to be declared."""
GRACE_S = 2.0
"""What a server has to end by itself after its standard input was closed."""
_KILL_S = 5.0
_TAIL = 2000
_KEEPER = Path(__file__).with_name("keeper.py")
_READ = 65536


class ServerProcess:
    """``start`` it, talk over ``stdin`` and ``stdout``, ``stop`` it. What it writes to stderr is kept at its end only."""

    def __init__(self, process: asyncio.subprocess.Process, life: int) -> None:
        self.stdin = cast("asyncio.StreamWriter", process.stdin)
        self.stdout = cast("asyncio.StreamReader", process.stdout)
        self._process, self._life = process, life
        self._tail = b""
        self._listening = asyncio.create_task(self._listen(cast("asyncio.StreamReader", process.stderr)))

    @classmethod
    async def start(cls, command: Sequence[str], env: Mapping[str, str], cwd: Path) -> "ServerProcess":
        """``env`` is added to what is ``KEPT``. A command that cannot be run ends with exit code 127."""
        theirs, ours = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-I", "-S", str(_KEEPER), str(theirs), *command,
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
                limit=_READ, pass_fds=(theirs,), start_new_session=True, cwd=cwd,
                env={name: value for name in KEPT if (value := os.environ.get(name)) is not None} | dict(env),
            )  # fmt: skip
        except BaseException:
            os.close(ours)
            raise
        finally:
            os.close(theirs)
        return cls(process, ours)

    async def stop(self) -> None:
        """Ask it to end, then kill it and all that came from it. ``stdout`` is no longer read by anybody else."""
        draining = asyncio.create_task(_drain(self.stdout))  # a full pipe would hold up its end
        try:
            with suppress(OSError):
                self.stdin.close()
            await self._ended(GRACE_S)
        finally:
            self._kill()
        await self._ended(_KILL_S)
        draining.cancel()
        self._listening.cancel()
        await asyncio.gather(draining, self._listening, return_exceptions=True)

    async def fate(self) -> str:
        """How it ended, in words, with the end of what it wrote to stderr."""
        await self._ended(GRACE_S)
        code = self._process.returncode
        said = self._tail.decode(errors="replace").strip()
        how = "it still runs" if code is None else f"it ended with exit code {code}"
        return f"{how}: {said}" if said else how

    async def _ended(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._process.wait()

    def _kill(self) -> None:
        if self._life >= 0:
            os.close(self._life)
            self._life = -1

    async def _listen(self, stderr: asyncio.StreamReader) -> None:
        while said := await stderr.read(_READ):
            self._tail = (self._tail + said)[-_TAIL:]


async def _drain(stream: asyncio.StreamReader) -> None:
    while await stream.read(_READ):
        pass
