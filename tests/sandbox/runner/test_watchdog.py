import mmap
import os

from clew.sandbox.runner import watchdog


def test_private_memory_of_a_process():
    before = watchdog._private(str(os.getpid()))
    keep = bytearray(b"x") * (32 << 20)
    assert 30 << 20 < watchdog._private(str(os.getpid())) - before < 40 << 20
    del keep


def test_shared_anonymous_memory_counts_by_size_and_once():
    before = watchdog._shared_anonymous([str(os.getpid())])
    with mmap.mmap(-1, 16 << 20):
        assert watchdog._shared_anonymous([str(os.getpid())] * 2) - before == 16 << 20


def test_processes_that_are_gone_count_nothing():
    assert watchdog._private("999999999") == 0
    assert watchdog._shared_anonymous(["999999999"]) == 0
    assert watchdog._kilobytes(b"RssAnon:\t  12 kB\n", b"RssAnon:") == 12 * 1024
    assert watchdog._kilobytes(b"nothing", b"RssAnon:") == 0
