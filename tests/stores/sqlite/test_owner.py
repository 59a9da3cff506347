"""Who drives: locks of the operating system, across journals, processes, forks and deaths."""

import os
import signal

import pytest

from clew.core.errors import Conflict, JournalError
from clew.stores.sqlite.owner import Owner


def test_alive_while_held(tmp_path):
    one, two = Owner(tmp_path / "owners"), Owner(tmp_path / "owners")
    assert not two.alive(one.id)
    name = one.acquire()
    assert one.acquire() == name
    assert two.alive(name)
    assert one.alive(name)
    one.close()
    assert not two.alive(name)
    assert list((tmp_path / "owners").iterdir()) == []


@pytest.mark.parametrize("name", ["", "..", "../../etc/passwd", "1-xyz", "12345678901234567890-0123456789abcdef"])
def test_names_that_are_none(tmp_path, name):
    assert not Owner(tmp_path).alive(name)


def test_stale_files_are_swept(tmp_path):
    stale = tmp_path / "1-0123456789abcdef.lock"
    stale.touch()
    other = tmp_path / "notes.lock"
    other.touch()
    living, new = Owner(tmp_path), Owner(tmp_path)
    living.acquire()
    new.acquire()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [f"{living.id}.lock", f"{new.id}.lock", "notes.lock"]
    )
    living.close()
    new.close()


def test_a_directory_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(JournalError, match="must be writable"):
        Owner(tmp_path / "file" / "owners").acquire()


def test_a_forked_child_is_not_the_owner(tmp_path):
    """The child of a fork neither counts as the owner nor keeps its lock alive."""
    owner = Owner(tmp_path)
    name = owner.acquire()
    parent_end, child_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            owner.acquire()
        except JournalError:
            os.write(child_end, b"refused")
        os.close(child_end)
        signal.pause()
    os.close(child_end)
    assert os.read(parent_end, 16) == b"refused"
    os.close(parent_end)
    assert Owner(tmp_path).alive(name)
    os.close(owner._fd)  # the parent dies, the child lives
    owner._fd = -1
    assert not Owner(tmp_path).alive(name)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


async def test_two_journals_in_one_process(opened, story):
    one, two = opened(), opened()
    await one.append(story.start())
    with pytest.raises(Conflict, match=f"process {os.getpid()}"):
        await two.claim("r1")
    await one.release("r1")
    assert await two.claim("r1") == 2
    with pytest.raises(Conflict):
        await one.claim("r1")


async def test_a_closed_journal_lets_go(opened, story):
    one = opened()
    await one.append(story.start())
    await one.close()
    two = opened()
    assert (await two.row("r1")).owner == ""
    assert await two.claim("r1") == 2


@pytest.mark.chaos
async def test_a_killed_process_lets_go(program, opened, story):
    process = program(
        """
        async def main():
            journal = opened()
            await journal.append(start())
            print("ready", flush=True)
            sys.stdin.read()
        asyncio.run(main())
        """
    )
    assert process.stdout.readline() == "ready\n"
    journal = opened()
    with pytest.raises(Conflict, match=f"process {process.pid}"):
        await journal.claim("r1")
    with pytest.raises(Conflict, match="driven"):
        await journal.erase("r1")
    process.kill()
    process.wait()
    assert await journal.claim("r1") == 2
    assert (await journal.append(story.node(1, epoch=2))).seq == 3


async def test_an_owner_that_executes_a_program_keeps_no_lock_in_it(opened, story, program):
    """The descriptor is close-on-exec: a child that outlives the engine does not keep its runs."""
    journal = opened()
    await journal.append(story.start())
    assert not os.get_inheritable(journal._owner._fd)
