"""The agent without a runner; with one, everything in test_backend goes through it."""

import errno
import json
import os
import socket
import threading

import pytest

from clew.sandbox.docker import agent
from clew.sandbox.docker.frames import FRAME, pack, split


@pytest.fixture
def ask():
    """What an agent answers."""
    server, forks = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    theirs, ours = os.pipe()
    mine, its = os.pipe()
    serving = threading.Thread(target=lambda: agent._Agent(server, theirs, its).serve())
    serving.start()

    def call(number: int, header: dict, data: bytes = b"") -> tuple[int, dict, bytes]:
        os.write(ours, pack(number, json.dumps(header).encode(), len(data)) + data)
        answered, size = FRAME.unpack(os.read(mine, FRAME.size))
        text, content = split(os.read(mine, size))
        return answered, json.loads(text), content

    yield call
    os.close(ours)
    serving.join(10)
    assert not serving.is_alive()
    for end in (server, forks):
        end.close()
    for fd in (theirs, mine, its):
        os.close(fd)


def test_before_there_is_a_sandbox(ask):
    assert ask(1, {"op": "execute"})[:2] == (
        1,
        {"error": "there is no sandbox yet", "code": "sandbox_failed", "hint": "", "kind": "Failure"},
    )
    for header in (
        {"op": "put", "path": "a", "mode": 0o644},
        {"op": "get", "path": "a", "limit": 1},
        {"op": "directory", "path": "a"},
        {"op": "link", "path": "a", "text": "b"},
    ):
        assert ask(2, header)[1]["error"] == "the sandbox is closed"
    assert ask(3, {"op": "fly"})[1]["error"] == "no such operation: fly"


def test_what_is_known_of_the_surroundings(monkeypatch):
    made = []
    monkeypatch.setattr(agent.Path, "mkdir", lambda path: made.append(path))
    found = agent.facts()
    assert (found["root"], len(made)) == ("writable", 1)
    assert found["Uid"] == str(os.getuid())
    assert "lo" in found["interfaces"]
    assert set(found) >= {"python", "memory", "tasks", "CapEff", "NoNewPrivs", "Seccomp", "root"}


@pytest.mark.parametrize(("number", "code"), [(errno.ENOSPC, "workspace_full"), (errno.EIO, "sandbox_failed")])
def test_errors_of_the_system_are_answers(ask, monkeypatch, number, code):
    def fail(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(agent._WorkspaceInside, "put_directory", fail)
    assert ask(7, {"op": "directory", "path": "a"})[1]["code"] == code
