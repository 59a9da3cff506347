"""The watchdog names what blocks the event loop, once, and stops nothing."""

import asyncio
import logging
import threading
import time

from clew.runtime.handlers import Handlers
from clew.runtime.watchdog import BEAT_S, Watchdog


async def test_a_blocking_call_of_a_handler_is_named_once(tmp_path, caplog):
    (tmp_path / "slow.py").write_text("async def stands(entered, left):\n    entered.set()\n    left.wait(10)\n")
    stands, _ = Handlers(tmp_path).get("slow:stands")
    entered, left, said = threading.Event(), threading.Event(), []
    watchdog = Watchdog(late_s=1.0)
    watchdog.watch()
    watchdog.watch()

    def look() -> None:
        entered.wait(10)
        now = time.monotonic()
        said.extend(watchdog.look(now + late) for late in (0.0, 5.0, 6.0))
        left.set()

    looking = threading.Thread(target=look)
    looking.start()
    with caplog.at_level(logging.WARNING, "clew.watchdog"):
        await stands(entered, left)  # this blocks the loop on purpose, until it was looked at
    looking.join()
    watchdog.close()
    assert said[0] == "", "a loop that is not late is well"
    assert f"{tmp_path / 'slow.py'}:3" in said[1]
    assert said[2] == "", "a place is named once"
    assert "make the handler a def" in caplog.text


async def test_its_thread_ends_with_it():
    before = threading.active_count()
    watchdog = Watchdog()
    watchdog.watch()
    assert threading.active_count() == before + 1
    await asyncio.to_thread(watchdog.close)
    assert not any(t.name == "clew-watchdog" for t in threading.enumerate())


def test_it_looks_more_often_than_it_barks():
    assert Watchdog()._late_s > 2 * BEAT_S
