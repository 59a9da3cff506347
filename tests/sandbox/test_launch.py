import os
import signal
import subprocess
import sys

import pytest

from clew.core.errors import Failure, UsageError
from clew.gate.ports.sandbox import Mount, Profile
from clew.sandbox import launch
from clew.sandbox.launch import ForkServer, await_end
from clew.sandbox.native import NativeBackend

pytestmark = pytest.mark.sandbox


def test_one_server_for_all_sandboxes(backend):
    with backend.acquire(Profile()) as one, backend.acquire(Profile()) as other:
        assert one._server is other._server


def test_a_killed_server_is_replaced(backend):
    with backend.acquire(Profile()) as sandbox:
        killed = sandbox._server.pid
    os.kill(killed, signal.SIGKILL)
    with backend.acquire(Profile()) as sandbox:
        assert sandbox._server.pid != killed


def test_a_forked_engine_starts_its_own(backend):
    code = (
        "import os\nfrom clew.gate.ports.sandbox import Profile\nfrom clew.sandbox.default import default\n"
        "with default().acquire(Profile()) as s: first = s._server.pid\n"
        "pid = os.fork()\n"
        "with default().acquire(Profile()) as s: second = s._server.pid\n"
        "if pid: os.waitpid(pid, 0); print('same', first == second, flush=True)\n"
        "else: print('other', first != second, flush=True)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (sorted(done.stdout.split("\n")), done.stderr) == (["", "other True", "same True"], "")


def test_it_ends_when_nobody_holds_it():
    server = ForkServer()
    pid = server.pid
    del server
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_process_that_does_not_end_is_killed(monkeypatch):
    monkeypatch.setattr(launch, "_CLOSE_S", 0.05)
    with subprocess.Popen(["sleep", "60"]) as process:
        await_end(os.pidfd_open(process.pid))
        assert process.wait() == -signal.SIGKILL


def test_a_server_that_does_not_end_is_killed(monkeypatch):
    monkeypatch.setattr(launch, "_CLOSE_S", 0.05)
    monkeypatch.setattr(launch, "BOOT", "import time; time.sleep(60)")
    server = ForkServer()
    pid = server.pid
    del server
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_server_that_does_not_answer(monkeypatch):
    monkeypatch.setattr(launch, "_CLOSE_S", 0.05)
    monkeypatch.setattr(launch, "_START_S", 0.05)
    monkeypatch.setattr(launch, "BOOT", "import time; time.sleep(60)")
    backend = NativeBackend()
    assert "does not answer" in backend.probe().reason


@pytest.mark.parametrize(
    ("name", "value", "words"), [("platform", "darwin", "needs Linux"), ("executable", "", "no Python executable")]
)
def test_where_it_cannot_start(monkeypatch, name, value, words):
    monkeypatch.setattr(sys, name, value)
    with pytest.raises(Failure, match=words):
        ForkServer()


def test_an_interpreter_that_is_gone(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(Failure, match="cannot be started"):
        ForkServer()


def test_too_many_mounts(backend):
    with pytest.raises(UsageError, match="too many"):
        backend.acquire(Profile(mounts=tuple(Mount("/usr", f"/{n}/" + "x" * 200) for n in range(1000))))
