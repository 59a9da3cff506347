import asyncio
import sys

import pytest

from clew.core.errors import Failure
from clew.gate.ports.sandbox import ExecResult
from clew.tools import lint
from clew.tools.lint import own_findings, ruff_findings


async def test_own_checks_run_elsewhere():
    found = await own_findings({"a.py": b"import os\n", "b.py": b"x = 1\n", "c.py": b"def f(:\n"})
    assert [(one.path, one.rule, one.severity) for one in found] == [
        ("a.py", "F401", "warn"),
        ("c.py", "syntax", "error"),
    ]
    assert all(one.suggestion for one in found)
    assert await own_findings({}) == []


async def test_a_file_that_takes_the_checker_down_is_a_finding():
    deep = b"x = " + b"-" * 3_000_000 + b"1\n"
    found = await own_findings({"a.py": b"import os\n", "deep.py": deep, "z.py": b"import sys\n"})
    assert [(one.path, one.rule) for one in found] == [("a.py", "F401"), ("deep.py", "syntax"), ("z.py", "F401")]


async def test_takes_too_long(monkeypatch):
    monkeypatch.setattr(lint, "_TIME_S", 0.0)
    with pytest.raises(Failure) as caught:
        await own_findings({"a.py": b""})
    assert caught.value.code == "analysis_timeout"


async def test_cancel_ends_the_program(monkeypatch, tmp_path):
    pids = []
    make = asyncio.create_subprocess_exec

    async def started(*args, **kwargs):
        (tmp_path / "slow.py").write_text("import time\ntime.sleep(100)\n")
        process = await make(sys.executable, str(tmp_path / "slow.py"), **{**kwargs, "env": None})
        pids.append(process)
        return process

    monkeypatch.setattr(asyncio, "create_subprocess_exec", started)
    task = asyncio.create_task(own_findings({"a.py": b""}))
    while not pids:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert pids[0].returncode == -9


class Broken:
    """A sandbox in which nothing works."""

    def acquire(self, profile):
        return self

    def put(self, path, data): ...

    async def execute(self, request):
        return ExecResult(status="MEM_LIMIT", rc=None, reason="too much")

    def close(self):
        self.closed = True


async def test_ruff_that_fails():
    broken = Broken()
    with pytest.raises(Failure) as caught:
        await ruff_findings("/usr/bin/ruff", broken, {"a.py": b""}, fix=False)
    assert caught.value.code == "analysis_failed"
    assert broken.closed
