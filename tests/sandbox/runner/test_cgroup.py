"""Control groups: on a directory that looks like one, and, where one was delegated, really."""

import os
from pathlib import Path

import pytest

from clew.gate.ports.sandbox import MIB, ExecRequest, Profile
from clew.sandbox.runner import cgroup
from clew.sandbox.runner.identity import Identity

CONTROL = {
    "cgroup.controllers": "cpu io memory pids",
    "cgroup.subtree_control": "",
    "cgroup.procs": "",
    "cgroup.kill": "",
    "memory.max": "max",
    "memory.swap.max": "max",
    "memory.oom.group": "0",
    "memory.events": "low 0\noom 0\noom_kill 0\n",
    "pids.max": "max",
}
ME = Identity(os.getuid(), os.getgid(), drop=False)
LIMITS = {"memory": 64 * MIB, "workspace": 16 * MIB, "processes": 8}


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A directory whose folders have a control group's files from the moment that they are made."""
    make, take = os.mkdir, os.rmdir

    def place(path, dir_fd):
        return Path(path) if dir_fd is None else Path(f"/proc/self/fd/{dir_fd}", path).resolve()

    def mkdir(path, mode=0o777, *, dir_fd=None):
        make(path, mode, dir_fd=dir_fd)
        for name, text in CONTROL.items():
            (place(path, dir_fd) / name).write_text(text)

    def rmdir(path, *, dir_fd=None):
        if not any(entry.is_dir() for entry in place(path, dir_fd).iterdir()):
            for name in CONTROL:
                (place(path, dir_fd) / name).unlink(missing_ok=True)
        take(path, dir_fd=dir_fd)

    monkeypatch.setattr(os, "mkdir", mkdir)
    monkeypatch.setattr(os, "rmdir", rmdir)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    top = tmp_path / "cgroup"
    top.mkdir()
    own = top / "service"
    own.mkdir()
    monkeypatch.setattr(cgroup, "_own", lambda: (own, top))
    return own


def processes(place: Path, *pids: int) -> None:
    (place / "cgroup.procs").write_text("".join(f"{pid}\n" for pid in pids))


def test_alone_in_what_is_delegated(tree, monkeypatch):
    moved: list[tuple[str, str]] = []
    write = cgroup._write

    def note(path, text):
        moved.append((str(path.relative_to(tree)), text))
        write(path, text)

    monkeypatch.setattr(cgroup, "_write", note)
    processes(tree, 7, os.getpid())
    assert cgroup.find(7) == str(tree)
    assert set(moved[:2]) == {("clew-engine/cgroup.procs", "7"), ("clew-engine/cgroup.procs", str(os.getpid()))}
    assert moved[2:] == [("cgroup.subtree_control", "+memory +pids")]


def test_with_others_in_it_nobody_is_moved(tree, monkeypatch):
    processes(tree, 7, 8, os.getpid())
    write = cgroup._write

    def refuse(path, text):
        if path.name == "cgroup.subtree_control" and path.parent == tree:
            raise OSError(16, "busy")
        write(path, text)

    monkeypatch.setattr(cgroup, "_write", refuse)
    monkeypatch.setattr(cgroup, "_is_ours", lambda place, top: place == tree)
    assert cgroup.find(7) == ""
    assert not (tree / "clew-engine").exists()


def test_the_subtree_may_be_the_one_above(tree):
    (tree / "cgroup.controllers").write_text("")
    (tree.parent / "cgroup.subtree_control").write_text("memory pids")
    assert cgroup.find(7) == str(tree.parent)


def test_root_needs_to_be_told(tree, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    said: dict[str, bytes] = {}

    def getxattr(place, name):
        try:
            return said[name]
        except KeyError:
            raise OSError(61, "no data") from None

    monkeypatch.setattr(os, "getxattr", getxattr)
    assert not cgroup._is_ours(tree, tree.parent)
    assert cgroup._is_ours(tree.parent, tree.parent)
    said["trusted.delegate"] = b"1"
    assert cgroup._is_ours(tree, tree.parent)


@pytest.mark.parametrize("own", ["no such file", "no cgroup2"])
def test_none(monkeypatch, own):
    def fail():
        raise OSError(2, own) if "file" in own else ValueError(own)

    monkeypatch.setattr(cgroup, "_own", fail)
    assert cgroup.find(1) == ""
    assert cgroup.enter("", ME) == -1
    assert cgroup.enter("/nowhere", ME) == -1


def test_which_one_is_ours(monkeypatch):
    files = {
        "/proc/self/cgroup": "4:memory:/x\n0::/a/b\n",
        "/proc/self/mountinfo": "30 1 0:5 / /sys rw - sysfs sysfs rw\n31 30 0:6 /a /sys/fs/cgroup rw - cgroup2 none rw\n",
    }
    monkeypatch.setattr(cgroup, "_read", lambda path: files[str(path)])
    assert cgroup._own() == (Path("/sys/fs/cgroup/b"), Path("/sys/fs/cgroup"))
    files["/proc/self/mountinfo"] = "30 1 0:5 / /sys rw - sysfs sysfs rw\n"
    with pytest.raises(ValueError, match="cgroup2"):
        cgroup._own()


def test_a_sandbox_and_its_commands(tree):
    directory = cgroup.enter(str(tree), ME)
    base = tree / f"clew-sandbox-{os.getpid()}"
    try:
        assert (base / "cgroup.subtree_control").read_text() == "+memory +pids"
        assert (base / "server" / "cgroup.procs").read_text() == "0"
        group = cgroup.Group(directory, LIMITS)
        own = base / str(os.getpid())
        assert int((own / "memory.max").read_text()) == (64 + 16 * 3 + 16) * MIB
        limits = {
            "memory.swap.max": "0",
            "memory.oom.group": "1",
            "pids.max": "9",
            "cgroup.procs": "",
            "cgroup.kill": "",
        }
        assert {name: (own / name).read_text()[:1] for name in limits} == limits
        assert group.join()
        group.kill()
        assert ((own / "cgroup.procs").read_text(), (own / "cgroup.kill").read_text()) == ("0", "1")
        assert not group.ran_out_of_memory()
        (own / "memory.events").write_text("oom 2\noom_kill 1\n")
        assert group.ran_out_of_memory()
        group.remove()
        assert not own.exists()
        cgroup.leave(str(tree), os.getpid())
        assert not base.exists()
    finally:
        os.close(directory)
        for fd in (group._procs, group._kill, group._directory):
            os.close(fd)


def test_a_group_without_one_of_its_limits_is_none(tree, monkeypatch):
    directory = cgroup.enter(str(tree), ME)
    try:
        monkeypatch.delitem(CONTROL, "pids.max")
        with pytest.raises(FileNotFoundError):
            cgroup.Group(directory, LIMITS)
        assert [entry.name for entry in (tree / f"clew-sandbox-{os.getpid()}").iterdir() if entry.is_dir()] == [
            "server"
        ]
    finally:
        os.close(directory)


def test_what_was_abandoned_is_removed(tree):
    (tree / "cgroup.subtree_control").write_text("memory pids")
    for name in ("clew-sandbox-1", "clew-sandbox-2"):
        (tree / name).mkdir()
    os.utime(tree / "clew-sandbox-1", (0, 0))
    assert cgroup.find(7) == str(tree)
    assert [entry.name for entry in tree.glob("clew-*")] == ["clew-sandbox-2"]


@pytest.fixture
def delegated(backend):
    held = backend.probe().holds
    if "memory.max" not in held["memory"]:
        pytest.skip("no cgroup was delegated to this process")
    return backend


PAIRS = b"""
import os, socket, time
for _ in range(5):
    if os.fork() == 0: break
keep = []
for _ in range(240):
    for end in (pair := socket.socketpair()):
        end.setblocking(False)
        try:
            while True: end.send(b"x" * 65536)
        except BlockingIOError: pass
    keep.append(pair)
time.sleep(20)
"""


@pytest.mark.sandbox
async def test_memory_that_no_process_has(delegated):
    with delegated.acquire(Profile(cpu_s=120, wall_s=120, memory=64 * MIB, processes=8, workspace=16 * MIB)) as sandbox:
        sandbox.put("pairs.py", PAIRS)
        result = await sandbox.execute(ExecRequest(argv=("/usr/bin/python3", "-S", "-E", "pairs.py")))
        assert result.status == "MEM_LIMIT"
        result = await sandbox.execute(ExecRequest(argv=("sh", "-c", "for n in $(seq 20); do sleep 9 & done; wait")))
        assert result.rc == 2
        assert b"Cannot fork" in result.stderr
        assert result.enforced["processes"] == "cgroup pids.max"
