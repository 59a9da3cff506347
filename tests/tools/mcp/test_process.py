"""Nothing of a server outlives the engine, however that dies."""

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from clew.tools.mcp.process import ServerProcess

STUBBORN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
far = subprocess.Popen(["sleep", "600"], start_new_session=True)
print(os.getpid(), far.pid, flush=True)
time.sleep(600)
"""
ENGINE = """
import asyncio, sys
from pathlib import Path
from clew.tools.mcp.process import ServerProcess
async def main():
    process = await ServerProcess.start([sys.executable, "-c", sys.argv[1]], {}, Path("/"))
    print((await process.stdout.readline()).decode().strip(), flush=True)
    await asyncio.sleep(600)
asyncio.run(main())
"""


async def both_gone(pids):
    async with asyncio.timeout(10):
        while any(Path(f"/proc/{pid}").exists() for pid in pids):
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
async def test_a_killed_engine_takes_its_servers_with_it(how):
    with subprocess.Popen(
        [sys.executable, "-c", ENGINE, STUBBORN], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as engine:
        pids = [int(pid) for pid in engine.stdout.readline().split()]
        assert all(Path(f"/proc/{pid}").exists() for pid in pids)
        engine.send_signal(how)
        await both_gone(pids)


async def test_stopping_one_that_does_not_listen(tmp_path, monkeypatch):
    monkeypatch.setattr("clew.tools.mcp.process.GRACE_S", 0.1)
    process = await ServerProcess.start([sys.executable, "-c", STUBBORN], {}, tmp_path)
    pids = [int(pid) for pid in (await process.stdout.readline()).split()]
    await process.stop()
    await both_gone(pids)
    await process.stop()
    assert await process.fate() == "it ended with exit code 137"


async def test_stopping_is_not_undone_by_a_cancel(tmp_path):
    process = await ServerProcess.start([sys.executable, "-c", STUBBORN], {}, tmp_path)
    pids = [int(pid) for pid in (await process.stdout.readline()).split()]
    task = asyncio.create_task(process.stop())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await both_gone(pids)
    await process.stop()


async def test_how_it_ended_is_told_with_the_end_of_its_errors(tmp_path):
    code = "import sys; sys.stderr.write('x' * 100_000 + ' the end'); sys.exit(4)"
    process = await ServerProcess.start([sys.executable, "-c", code], {}, tmp_path)
    fate = await process.fate()
    assert fate.startswith("it ended with exit code 4: xxx")
    assert fate.endswith("the end")
    assert len(fate) < 2100
    await process.stop()


async def test_a_directory_that_is_not_there_leaves_nothing_open(tmp_path):
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(OSError, match="no-such"):
        await ServerProcess.start(["true"], {}, tmp_path / "no-such")
    assert len(list(Path("/proc/self/fd").iterdir())) == before
