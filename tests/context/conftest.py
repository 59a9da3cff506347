"""Collections on a manual clock."""

import contextlib

import numpy as np
import pytest

from clew.context.collection import Collection
from clew.context.log.sqlite import SqliteLog
from clew.gate.ports.context import Put, Query, SearchConfig

TOPICS = (
    "ship captain harbour wave sailor storm",
    "plane pilot airport wing cloud runway",
    "bread flour oven yeast dough crust",
)


class Ticking:
    """A millisecond later each time it is asked."""

    def __init__(self):
        self.ms = 1_000

    def __call__(self):
        self.ms += 1
        return self.ms


@pytest.fixture
def ticking():
    return Ticking()


@pytest.fixture
def opened(tmp_path, ticking):
    """Opens the collection in a folder; again and again if need be."""
    with contextlib.ExitStack() as stack:

        def open_(name="c", **kwargs):
            folder = tmp_path / name
            folder.mkdir(exist_ok=True)
            log = SqliteLog.open(folder / "truth.db")
            return stack.enter_context(Collection(log, folder, now=ticking, **kwargs))

        yield open_


@pytest.fixture
def collection(opened, request):
    """Its parameter: the space of vectors that are given."""
    return opened(space=getattr(request, "param", ""))


def _vector(*numbers):
    return np.array(numbers, dtype="<f4").tobytes()


@pytest.fixture
def vector():
    return _vector


@pytest.fixture
def put(collection):
    """Writes documents: id and text, or id and fields."""

    def write(*documents, **texts):
        changes = [Put(**one) for one in documents] + [Put(id=name, text=text) for name, text in texts.items()]
        return collection.write(changes)

    return write


@pytest.fixture
def topics():
    return TOPICS


@pytest.fixture
def topical():
    """So many documents, each of one topic."""

    def make(n):
        return [
            Put(
                id=f"d{i}",
                text=" ".join(TOPICS[i % 3].split()[j % 6] for j in range(i, i + 4)) + f" note {i}",
                metadata={"i": i},
            )
            for i in range(n)
        ]

    return make


@pytest.fixture
def ask():
    """Searches a collection: fields of a query and of a configuration."""

    def search(collection, text="", **kwargs):
        fields = {name: kwargs.pop(name) for name in ("vector", "filter") if name in kwargs}
        return collection.search(Query(text=text, **fields), SearchConfig(**kwargs))

    return search
