"""Files that an agent makes: what native workspaces promise, at the other end of a pipe."""

import os
import signal

import pytest

from clew.core.errors import Failure, NotFound, UsageError
from clew.gate.ports.sandbox import MIB, ExecRequest, Profile
from clew.sandbox.docker import remote

pytestmark = pytest.mark.sandbox


@pytest.fixture
def sandbox(backend):
    with backend.acquire(Profile(memory=128 * MIB, workspace=16 * MIB)) as sandbox:
        yield sandbox


async def sh(sandbox, script: str):
    return await sandbox.execute(ExecRequest(argv=("sh", "-c", script)))


async def test_files(sandbox):
    sandbox.put("a/in.txt", b"in")
    assert (await sh(sandbox, "cat a/in.txt a/in.txt > out")).rc == 0
    assert sandbox.get("out") == sandbox.get("/workspace/out") == b"inin"
    with pytest.raises(NotFound, match="no such file"):
        sandbox.get("nope")
    with pytest.raises(UsageError, match=r"'\.\.'") as caught:
        sandbox.put("../x", b"")
    assert caught.value.code == "outside_root"
    with pytest.raises(Failure, match="larger than 3 bytes") as caught:
        sandbox.get("out", 3)
    assert caught.value.code == "too_large"
    with pytest.raises(Failure, match="full") as caught:
        sandbox.put("big", bytes(17 * MIB))
    assert caught.value.code == "workspace_full"


async def test_a_tree_with_its_links_and_modes(sandbox, tmp_path):
    tree = tmp_path / "tree"
    (tree / "d" / "empty").mkdir(parents=True)
    (tree / "run.sh").write_text("#!/bin/sh\necho ran\n")
    (tree / "run.sh").chmod(0o700)
    (tree / "d" / "inside").symlink_to("../run.sh")
    (tree / "outside").symlink_to("/etc/passwd")
    (tree / "circle").symlink_to("circle")
    (tree / "x.pyc").touch()
    os.mkfifo(tree / "pipe")
    sandbox.put("t/d/inside", b"replaced")
    sandbox.put_tree(tree, "t", ignore=("*.pyc",))
    result = await sh(sandbox, "./t/d/inside; find t | sort | tr '\\n' ' '")
    assert result.stdout == b"ran\nt t/d t/d/empty t/d/inside t/run.sh "
    with pytest.raises(NotFound):
        sandbox.put_tree(tmp_path / "nope")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_tree_that_cannot_be_read(sandbox, tmp_path):
    (tmp_path / "secret").touch(mode=0)
    with pytest.raises(Failure, match="cannot copy secret"):
        sandbox.put_tree(tmp_path)


def test_an_agent_that_does_not_answer(sandbox, monkeypatch):
    monkeypatch.setattr(remote, "_WAIT_S", 0.1)
    os.kill(sandbox._container.process.pid, signal.SIGSTOP)
    with pytest.raises(Failure, match="does not answer") as caught:
        sandbox.put("a", b"")
    assert caught.value.code == "sandbox_lost"
    os.kill(sandbox._container.process.pid, signal.SIGCONT)
