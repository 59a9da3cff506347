"""What every log of documents is held to: the backends by name, and short ways to write."""

import struct
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from clew.context.log.jsonl import JsonlLog
from clew.context.log.port import NO_BOUNDS, Bounds, Log
from clew.context.log.sqlite import SqliteLog
from clew.gate.ports.context import Put, Remove, Version

AT = 1_732_272_000_000
BACKENDS = {"sqlite": SqliteLog, "jsonl": JsonlLog}


class Story:
    """Writes, so that a test says only what matters to it."""

    def __init__(self, log: Log) -> None:
        self.log = log

    def put(self, name: str, text: str = "", at: int = AT, **fields: Any) -> Version | None:
        return self.log.write([Put(id=name, text=text, **fields)], at)[0]

    def remove(self, name: str, at: int = AT, **fields: Any) -> Version | None:
        return self.log.write([Remove(id=name, **fields)], at)[0]

    def live(self) -> dict[str, str]:
        return {name: self.log.get(name).text for name in self.log.ids()}

    def at(self, n: int) -> dict[str, str]:
        return {version.id: version.text for version in self.log.live_at(n)}

    def followed(self, n: int = 0, limit: int = 2) -> list[Version]:
        """Everything after ``n``, page by page."""
        found: list[Version] = []
        while page := self.log.since(found[-1].n if found else n, limit):
            assert len(page) <= limit
            found.extend(page)
        return found


@pytest.fixture(params=sorted(BACKENDS))
def backend(request: pytest.FixtureRequest) -> Any:
    return BACKENDS[request.param]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "collection" / "truth"


@pytest.fixture
def opened(backend: Any, path: Path) -> Iterator[Callable[..., Log]]:
    """Opens the same log again and again, as other processes do."""
    made: list[Log] = []

    def make(bounds: Bounds = NO_BOUNDS, at: Path = path, **options: Any) -> Log:
        made.append(backend.open(at, bounds, **options))
        return made[-1]

    yield make
    for log in made:
        log.close()


@pytest.fixture
def log(opened: Callable[..., Log]) -> Log:
    return opened()


@pytest.fixture
def story(log: Log) -> Story:
    return Story(log)


@pytest.fixture
def vector() -> Callable[..., bytes]:
    return lambda *numbers: struct.pack(f"<{len(numbers)}f", *numbers)


@pytest.fixture
def threads() -> Callable[..., list[Any]]:
    """Calls with 0, 1, 2 … in threads at once; raises what one of them raised."""

    def run(work: Callable[[int], Any], count: int) -> list[Any]:
        with ThreadPoolExecutor(count) as pool:
            return list(pool.map(work, range(count)))

    return run
