import errno
import os
import subprocess

import pytest

from clew.core.errors import UsageError
from clew.gate import beneath
from clew.gate.beneath import open_beneath, open_regular, parent_beneath, parts_beneath, walk_beneath


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "root"
    (root / "a" / "b").mkdir(parents=True)
    (root / "a" / "b" / "c.txt").write_text("c")
    (root / "inside").symlink_to("a/b")
    (root / "outside").symlink_to("../secret")
    (root / "absolute").symlink_to(tmp_path / "secret")
    (root / "proc").symlink_to("/proc/self/root")
    (tmp_path / "secret").write_text("secret")
    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    yield fd
    os.close(fd)


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../../x", "a\0b", "x" * 300, "a/" * 3000, "\ud800"])
def test_paths_that_are_refused(path):
    with pytest.raises(UsageError):
        parts_beneath(path)


@pytest.mark.parametrize(("path", "parts"), [(".", ()), ("", ()), ("./a//b/", ("a", "b")), ("..a", ("..a",))])
def test_paths_that_are_taken(path, parts):
    assert parts_beneath(path) == parts


@pytest.mark.parametrize("kernel", ["openat2", "walk"])
@pytest.mark.parametrize("path", ["outside", "absolute", "proc/etc/passwd"])
def test_links_that_lead_out(tree, path, kernel, monkeypatch):
    if kernel == "walk":
        monkeypatch.setattr(beneath, "_OPENAT2", 100_000)
    with pytest.raises(OSError) as caught:
        open_beneath(tree, path, os.O_RDONLY)
    assert caught.value.errno in (errno.EXDEV, errno.ELOOP, errno.ENOTDIR)


def test_link_that_stays_inside_is_followed(tree):
    os.close(open_beneath(tree, "inside/c.txt", os.O_RDONLY))


def test_without_openat2_no_link_is_followed(tree, monkeypatch):
    monkeypatch.setattr(beneath, "_OPENAT2", 100_000)
    os.close(open_beneath(tree, "a/b/c.txt", os.O_RDONLY))
    with pytest.raises(OSError, match=r"Not a directory|symbolic"):
        open_beneath(tree, "inside/c.txt", os.O_RDONLY)


def test_special_files_are_refused_at_once(tree):
    os.mkfifo("pipe", dir_fd=tree)
    for path in ("pipe", "a"):
        with pytest.raises(OSError, match="not a regular file"):
            open_regular(tree, path)


def test_parents_are_made(tree):
    with parent_beneath(tree, "x/y/z.txt", create=True) as (parent, name):
        assert name == "z.txt"
        assert os.fstat(parent).st_nlink == 2
    with pytest.raises(OSError), parent_beneath(tree, "outside/y/z", create=True):
        pass
    with pytest.raises(UsageError), parent_beneath(tree, "."):
        pass


def test_walk_follows_no_link_and_skips(tree):
    assert [found.path for found in walk_beneath(tree)] == [
        "a", "absolute", "inside", "outside", "proc", "a/b", "a/b/c.txt",
    ]  # fmt: skip
    assert [found.path for found in walk_beneath(tree, "a", skip=lambda name: name == "c.txt")] == ["a/b"]
    assert len(list(walk_beneath(tree, most=2))) == 2
    with pytest.raises(OSError):
        list(walk_beneath(tree, "outside"))


def test_walk_of_a_very_deep_tree(tree):
    """Deeper than Python's recursion limit, and than a path may be long."""
    fd = os.dup(tree)
    for _ in range(1030):
        os.mkdir("ddd", dir_fd=fd)
        deeper = os.open("ddd", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = deeper
    os.close(fd)
    found = [entry.path for entry in walk_beneath(tree) if entry.path.startswith("ddd")]
    subprocess.run(["rm", "-rf", f"/proc/self/fd/{tree}/ddd"], check=True, pass_fds=(tree,))  # pytest cannot
    assert 1000 < len(found) < 1100


class Races:
    """A kernel whose ``openat2`` is raced ``times`` times, then works."""

    def __init__(self, times):
        self.times, self.real = times, beneath._libc

    def syscall(self, *args):
        self.times -= 1
        if self.times >= 0:
            beneath.ctypes.set_errno(errno.EAGAIN)
            return -1
        return self.real.syscall(*args)


def test_a_rename_that_races_is_tried_again(tree, monkeypatch):
    monkeypatch.setattr(beneath, "_libc", Races(3))
    os.close(open_beneath(tree, "a/b/c.txt", os.O_RDONLY))


def test_a_race_without_end_is_told(tree, monkeypatch):
    monkeypatch.setattr(beneath, "_libc", Races(10_000))
    with pytest.raises(BlockingIOError):
        open_beneath(tree, "a/b/c.txt", os.O_RDONLY)


def test_a_directory_that_vanishes_during_the_walk_is_left_out(tree, monkeypatch):
    real = beneath._entries

    def entries(root, folder, flags):
        if folder == "a/b":
            raise FileNotFoundError(folder)
        return real(root, folder, flags)

    monkeypatch.setattr(beneath, "_entries", entries)
    assert "a/b/c.txt" not in {found.path for found in walk_beneath(tree)}


def test_a_walk_from_nowhere_is_told(tree):
    with pytest.raises(FileNotFoundError):
        list(walk_beneath(tree, "nowhere"))
