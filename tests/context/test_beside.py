"""Work in a second thread, or where it is asked for."""

import os
import threading

import pytest

from clew.context import beside


@pytest.fixture(autouse=True)
def two_processors(monkeypatch):
    monkeypatch.setattr(beside, "_ALONE", False)


def here():
    return threading.current_thread()


def test_another_thread_does_it():
    assert beside.begun(here)() is not here()
    assert beside.begun(here)() is not here()


def test_what_it_raises_is_raised_and_it_goes_on_working():
    with pytest.raises(ZeroDivisionError):
        beside.begun(lambda: 1 / 0)()
    assert beside.begun(here)() is not here()


def test_a_busy_helper_leaves_the_work_to_the_caller():
    free = threading.Event()
    first = beside.begun(free.wait)
    assert beside.begun(here)() is here()
    free.set()
    assert first()


def test_one_processor_is_no_help(monkeypatch):
    monkeypatch.setattr(beside, "_ALONE", True)
    assert beside.begun(here)() is here()


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_child_has_one_of_its_own():
    beside.begun(here)()
    child = os.fork()
    if not child:
        os._exit(0 if beside.begun(lambda: 7)() == 7 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
