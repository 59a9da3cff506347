import os
import stat

import pytest

from clew.core.errors import Failure, NotFound, UsageError
from clew.gate.ports.sandbox import MIB, Profile
from clew.sandbox.workspace import Workspace


@pytest.fixture
def place(tmp_path):
    (tmp_path / "ws").mkdir()
    return tmp_path / "ws"


@pytest.fixture
def workspace(place):
    workspace = Workspace(os.open(place, os.O_RDONLY | os.O_DIRECTORY), os.getuid(), os.getgid())
    yield workspace
    workspace.close()


def test_put_and_get(workspace, place):
    workspace.put("a/b/c", b"1")
    workspace.put("/workspace/a/b/c", b"22")
    assert workspace.get("a/b/c", 2) == (place / "a/b/c").read_bytes() == b"22"
    with pytest.raises(Failure, match="larger than 1"):
        workspace.get("a/b/c", 1)


@pytest.mark.parametrize(
    "path", ["../x", "/etc/passwd", "a\0", "/workspace/../x", "", "/workspace", "out/x", "/workspacex"]
)
def test_put_refuses(path, workspace, place):
    (place / "out").symlink_to("..")
    with pytest.raises(UsageError):
        workspace.put(path, b"x")


def test_put_replaces_a_link_and_not_what_it_points_to(workspace, place, tmp_path):
    (tmp_path / "secret").write_text("s")
    (place / "link").symlink_to("../secret")
    os.link(tmp_path / "secret", place / "hard")
    workspace.put("link", b"x")
    workspace.put("hard", b"x")
    assert (tmp_path / "secret").read_text() == "s"
    assert not (place / "link").is_symlink()


def test_put_over_a_directory(workspace, place):
    (place / "d").mkdir()
    with pytest.raises(UsageError):
        workspace.put("d", b"x")


def test_get_refuses(workspace, place, tmp_path):
    (tmp_path / "secret").write_text("s")
    (place / "out").symlink_to("../secret")
    (place / "zero").symlink_to("/dev/zero")
    (place / "dir").mkdir()
    os.mkfifo(place / "pipe")
    for path, error in (
        ("none", NotFound),
        *((path, UsageError) for path in ("dir", "pipe", "out", "zero", "../secret")),
    ):
        with pytest.raises(error):
            workspace.get(path, 100)


def test_put_tree(workspace, place, tmp_path):
    source = tmp_path / "source"
    (source / "pkg" / "__pycache__").mkdir(parents=True)
    (source / "pkg" / "a.py").write_text("a")
    (source / "pkg" / "run").write_text("r")
    (source / "pkg" / "run").chmod(0o4755)
    (source / "pkg" / "x.pyc").touch()
    (source / "empty").mkdir()
    (source / "inside").symlink_to("pkg/a.py")
    (source / "dirlink").symlink_to("pkg")
    (source / "outside").symlink_to("../secret")
    (source / "absolute").symlink_to(source / "pkg")
    (source / "loop").symlink_to("loop")
    os.mkfifo(source / "pipe")
    (tmp_path / "secret").write_text("s")
    workspace.put_tree(source, "repo", ("__pycache__", "*.pyc"))
    names = sorted(str(path.relative_to(place)) for path in place.rglob("*"))
    assert names == [
        "repo", "repo/dirlink", "repo/empty", "repo/inside", "repo/pkg", "repo/pkg/a.py", "repo/pkg/run",
    ]  # fmt: skip
    assert str((place / "repo" / "inside").readlink()) == "pkg/a.py"
    assert stat.S_IMODE((place / "repo" / "pkg" / "run").stat().st_mode) == 0o755
    workspace.put_tree(source, ".", ())
    assert (place / "pkg" / "a.py").read_text() == "a"


def test_put_tree_of_what_is_no_directory(workspace, tmp_path):
    with pytest.raises(NotFound):
        workspace.put_tree(tmp_path / "none", ".", ())


@pytest.mark.sandbox
def test_full_workspace(backend):
    with backend.acquire(Profile(workspace=1 * MIB)) as sandbox:
        with pytest.raises(Failure) as caught:
            sandbox.put("big", bytes(2 * MIB))
        assert caught.value.code == "workspace_full"
        sandbox.put("big", b"small")
