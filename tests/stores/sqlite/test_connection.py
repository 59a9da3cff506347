"""Files that are none, places that cannot be written: each a JournalError that says what to do."""

import os
from pathlib import Path

import pytest

from clew.core.errors import JournalError
from clew.stores.sqlite.connection import connect


def test_a_file_that_is_no_database(path, opened):
    path.parent.mkdir()
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(JournalError, match="no journal or its beginning is damaged"):
        opened()


def test_a_directory_in_its_place(path, opened):
    path.mkdir(parents=True)
    with pytest.raises(JournalError, match="cannot be opened"):
        opened()


def test_a_file_where_the_state_should_be(tmp_path, opened):
    (tmp_path / "file").touch()
    with pytest.raises(JournalError, match="--state"):
        opened(tmp_path / "file" / "journal.db")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_directory(tmp_path, opened):
    (tmp_path / "ro").mkdir(mode=0o500)
    with pytest.raises(JournalError, match="writable"):
        opened(tmp_path / "ro" / "journal.db")


def test_the_file_is_private(journal, path):
    assert path.stat().st_mode & 0o077 == 0
    assert path.parent.stat().st_mode & 0o077 == 0


def test_the_log_is_private(journal, path):
    assert (path.parent / "journal.db-wal").stat().st_mode & 0o077 == 0


def test_guarantees(journal, path):
    connection = connect(path)
    found = {
        name: connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous", "secure_delete")
    }
    connection.close()
    assert found == {"journal_mode": "wal", "synchronous": 2, "secure_delete": 1}


def test_many_processes_create_it_at_once(program, opened):
    """Whoever comes first makes the file; the others find it made."""
    body = """
    async def main():
        print("ready", flush=True)
        sys.stdin.readline()
        journal = opened()
        await journal.append(start(f"r{os.getpid()}"))
        await journal.close()
    asyncio.run(main())
    """
    processes = [program(body) for _ in range(4)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        _, err = process.communicate()
        assert (err, process.returncode) == ("", 0)
    journal = opened()
    assert journal._connection.execute("SELECT count(*) FROM runs").fetchone() == (4,)


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs /proc")
def test_a_place_where_not_even_root_may_write(opened):
    with pytest.raises(JournalError, match="--state"):
        opened(Path("/proc/clew/journal.db"))
