import os
import resource
import signal
import threading

from clew.agents.code.runner.children import limit_cpu, limit_memory, spawn, wait_any


def answer(data: bytes):
    return lambda pipe: os.write(pipe, data)


def test_a_child_answers_and_is_reaped():
    child = spawn(answer(b"yes"), wall=30)
    assert wait_any([child]) is child
    assert child.data == b"yes"
    child.end()


def test_a_child_that_dies_says_nothing():
    child = spawn(lambda _: os.kill(os.getpid(), signal.SIGTERM), wall=30)
    assert wait_any([child]) is child
    assert child.data == b""
    assert os.WTERMSIG(child.end()) in {signal.SIGTERM, signal.SIGKILL}


def test_one_that_sleeps_for_ever_is_overdue():
    child = spawn(lambda _: signal.pause(), wall=0.05)
    assert wait_any([child]) is child
    assert os.WTERMSIG(child.end()) == signal.SIGKILL


def test_an_endless_loop_ends_by_cpu_time():
    def loop(_: int) -> None:
        limit_cpu(0.05)
        while True:
            pass

    child = spawn(loop, wall=60)
    wait_any([child])
    assert child.data == b""
    child.end()


def test_memory_is_bounded_above_what_is_used():
    def hog(pipe: int) -> None:
        limit_memory(64 * 1024 * 1024)
        try:
            bytearray(512 * 1024 * 1024)
        except MemoryError:
            os.write(pipe, b"refused")

    before = resource.getrlimit(resource.RLIMIT_DATA)
    child = spawn(hog, wall=30)
    wait_any([child])
    assert child.data == b"refused"
    child.end()
    assert resource.getrlimit(resource.RLIMIT_DATA) == before


def test_threads_need_no_more_memory_than_they_touch():
    def many(pipe: int) -> None:
        limit_memory(256 * 1024 * 1024)
        go = threading.Event()
        threads = [threading.Thread(target=go.wait) for _ in range(12)]
        for thread in threads:
            thread.start()
        go.set()
        for thread in threads:
            thread.join()
        os.write(pipe, b"all")

    child = spawn(many, wall=30)
    wait_any([child])
    assert child.data == b"all"
    child.end()


def test_the_first_of_several_to_answer_is_returned():
    slow, quick = spawn(lambda _: signal.pause(), wall=30), spawn(answer(b"q"), wall=30)
    assert wait_any([slow, quick]) is quick
    quick.end()
    slow.end()
