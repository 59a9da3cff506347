"""Schemas: a new file gets the newest, an older one is brought there, a newer one is refused."""

import shutil
import sqlite3

import pytest

from clew.core.errors import JournalError
from clew.stores.sqlite.connection import connect
from clew.stores.sqlite.migrate import SCRIPTS, migrate, scripts, statements


@pytest.fixture
def future(tmp_path):
    """The shipped migrations and one more."""
    directory = tmp_path / "sql"
    shutil.copytree(SCRIPTS, directory)
    number = len(scripts()) + 1
    (directory / f"{number:03}_test.sql").write_text(
        "-- a comment; with a semicolon\nALTER TABLE runs ADD COLUMN extra TEXT;\n"
    )
    return directory


def test_the_shipped_ones_are_numbered():
    assert [path.name[:3] for path in scripts()] == [f"{number:03}" for number in range(1, len(scripts()) + 1)]


async def test_an_older_schema_is_brought_up(opened, story, path, future):
    journal = opened()
    await story.whole(journal)
    await journal.close()
    connection = connect(path)
    assert migrate(connection, path, future) == len(scripts())
    assert connection.execute("SELECT run, extra FROM runs").fetchall() == [("r1", None)]
    assert migrate(connection, path, future) == len(scripts()) + 1
    connection.close()
    with pytest.raises(JournalError, match="newer Clew"):
        opened()


async def test_a_failing_migration_changes_nothing(opened, story, path, future):
    journal = opened()
    await story.whole(journal)
    await journal.close()
    (bad,) = future.glob(f"{len(scripts()) + 1:03}_*.sql")
    bad.write_text("ALTER TABLE runs ADD COLUMN extra TEXT;\nALTER TABLE nowhere ADD COLUMN extra TEXT;\n")
    connection = connect(path)
    with pytest.raises(JournalError, match="nothing was changed"):
        migrate(connection, path, future)
    connection.close()
    again = opened()
    assert await again.verify() == []


def test_gaps_and_fragments(tmp_path):
    (tmp_path / "002_x.sql").write_text("SELECT 1;")
    with pytest.raises(JournalError, match="numbered"):
        scripts(tmp_path)
    assert list(statements("A;\nB\n;\n")) == ["A;\n", "B\n;\n"]
    with pytest.raises(JournalError, match="within a statement"):
        list(statements("CREATE TABLE x (\n"))


def test_another_database_is_left_alone(path, opened):
    path.parent.mkdir()
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE mine (a)")
    other.commit()
    other.close()
    before = path.read_bytes()
    with pytest.raises(JournalError, match="no Clew journal"):
        opened()
    assert path.read_bytes() == before
