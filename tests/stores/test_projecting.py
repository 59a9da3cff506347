"""The registry refuses what could not be kept."""

import sqlite3
from types import MappingProxyType

import pytest

from clew.core.errors import UsageError
from clew.core.events import NodeCompleted
from clew.stores.projecting import Registry


class Made:
    version = 1
    lazy = False
    facts = (NodeCompleted,)

    def __init__(self, name="mine", **tables):
        self.name = name
        self.tables = MappingProxyType(tables or {"mine": ("CREATE TABLE mine (run TEXT)",)})

    def apply(self, entry, tx):
        raise NotImplementedError


@pytest.mark.parametrize("name", ["", "Runs", "runs", "events", "a b", "x; DROP TABLE runs", "é", "a" * 70])
def test_names(name):
    with pytest.raises(UsageError, match="name of a table"):
        Registry([Made("mine", **{name: ("CREATE TABLE x (run TEXT)",)})])


def test_two_of_one_name():
    with pytest.raises(UsageError, match="same name"):
        Registry([Made(), Made()])
    with pytest.raises(UsageError, match="two projections"):
        Registry([Made(), Made("other")])


def test_a_table_without_run():
    connection = sqlite3.connect(":memory:")
    made = Made("mine", mine=("CREATE TABLE mine (a TEXT)",))
    with pytest.raises(UsageError, match="column 'run'"):
        Registry([made]).create(made, connection)
    connection.close()
