"""The other end is a program of the test's: what it answers is not to be trusted."""

import subprocess
import sys
import threading

import pytest

from clew.core.errors import Failure, NotFound, UsageError
from clew.sandbox.docker.channel import Channel

ECHO = "import sys; from clew.sandbox.docker.frames import *\nr, w = sys.stdin.buffer, sys.stdout.buffer\n"


@pytest.fixture
def open_channel():
    opened = []

    def start(code: str) -> Channel:
        process = subprocess.Popen(
            [sys.executable, "-c", ECHO + code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        channel = Channel(process, lambda: Failure("it is gone", code="sandbox_lost"))
        opened.append((process, channel))
        return channel

    yield start
    for process, channel in opened:
        process.kill()
        process.wait()
        channel.finish(5)


def answering(header: str, data: str = "b''") -> str:
    """A program that answers everything so."""
    return (
        "while head := r.read(8):\n  number, size = FRAME.unpack(head); r.read(size)\n"
        f"  w.write(pack(number, {header!r}.encode(), len({data})) + {data}); w.flush()\n"
    )


def test_answers_find_their_calls(open_channel):
    channel = open_channel(answering('{"x": 1}', "b'abc'"))
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(channel.call({}, b"d" * 100_000, wait_s=20, limit=3)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [({"x": 1}, b"abc")] * 8


@pytest.mark.parametrize(
    ("kind", "error"), [("NotFound", NotFound), ("UsageError", UsageError), ("SystemExit", Failure)]
)
def test_errors_are_raised_as_what_they_were(open_channel, kind, error):
    channel = open_channel(answering(f'{{"error": "no", "kind": "{kind}", "code": "c", "hint": "h"}}'))
    with pytest.raises(error, match="no") as caught:
        channel.call({}, wait_s=20)
    assert (type(caught.value), caught.value.code, caught.value.hint) == (error, "c", "h")


@pytest.mark.parametrize(
    "answer",
    [
        "b''",
        "b'abc'",
        "FRAME.pack(1, 2**32 - 1)",
        "FRAME.pack(1, 2)",
        "FRAME.pack(1, 100) + b'short'",
        "FRAME.pack(99, 4) + LENGTH.pack(0)",
        "FRAME.pack(1, 4) + LENGTH.pack(2**32 - 1)",
        "pack(1, b'no json', 0)",
        "pack(1, b'[]', 0)",
        "pack(1, b'{}', 2_000_000) + bytes(2_000_000)",
    ],
)
def test_nonsense_ends_it(open_channel, answer):
    channel = open_channel(f"r.read(8); w.write({answer}); w.flush(); w.close()")
    with pytest.raises(Failure, match="it is gone"):
        channel.call({}, wait_s=20)
    with pytest.raises(Failure, match="it is gone"):
        channel.call({}, wait_s=20)


def test_an_answer_that_nobody_waits_for(open_channel):
    channel = open_channel(answering("{}"))
    number, answer = channel.expect()
    answer.cancel()
    channel.send(number, {}, wait_s=20)
    assert channel.call({}, wait_s=20) == ({}, b"")


def test_who_does_not_read_is_not_waited_for(open_channel):
    channel = open_channel("import time; time.sleep(600)")
    with pytest.raises(TimeoutError):
        channel.call({}, bytes(1_000_000), wait_s=0.1)
    number, answer = channel.expect()
    channel.send(number, {}, wait_s=0.1)  # there is no way any more, and half a message has gone out
    with pytest.raises(TimeoutError):
        answer.result(0.01)
    assert not channel.finish(0.1)


def test_who_writes_is_waited_for_in_vain(open_channel):
    channel = open_channel("import time; time.sleep(600)")
    with channel._writing:
        assert not channel.finish(0.01)
        with pytest.raises(TimeoutError):
            channel.write(b"", wait_s=0.01)


def test_a_process_without_pipes():
    with subprocess.Popen(["true"]) as process, pytest.raises(ValueError, match="pipes"):
        Channel(process, lambda: Failure("x"))
