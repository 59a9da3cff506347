import os

import pytest


def names(folder):
    return sorted(path.name for path in folder.iterdir())


async def test_creates_with_parents_and_replaces(root, use):
    first = await use("write_file", path="d/e/a.txt", content="é\n")
    assert first["created"]
    assert first["bytes"] == 3
    (root / "d/e/a.txt").chmod(0o755)
    second = await use("write_file", path="d/e/a.txt", content="new", expect_sha256=first["sha256"])
    assert not second["created"]
    assert (root / "d/e/a.txt").read_text() == "new"
    assert (root / "d/e/a.txt").stat().st_mode & 0o777 == 0o755
    assert names(root / "d/e") == ["a.txt"]


async def test_links_inside_the_root_lead_on(root, use):
    (root / "d").mkdir()
    (root / "link").symlink_to("d")
    await use("write_file", path="link/a", content="x")
    assert (root / "d" / "a").read_text() == "x"


@pytest.mark.parametrize(
    ("args", "code"),
    [
        ({"path": "../x"}, "outside_root"),
        ({"path": "out/x"}, "outside_root"),
        ({"path": "file_link"}, "outside_root"),
        ({"path": "here_link"}, "is_link"),
        ({"path": "dangling"}, "is_link"),
        ({"path": "dir"}, "is_directory"),
        ({"path": "."}, "is_directory"),
        ({"path": "a", "create_only": True}, "exists"),
        ({"path": "a", "expect_sha256": "0" * 64}, "changed"),
        ({"path": "new", "expect_sha256": "0" * 64}, "changed"),
        ({"path": "a/b"}, "not_found"),
        ({"path": "pipe"}, "special_file"),
    ],
)
async def test_refuses(args, code, root, refused):
    (root / "out").symlink_to("..")
    (root / "file_link").symlink_to("../secret")
    (root / "here_link").symlink_to("a")
    (root / "dangling").symlink_to("nowhere")
    (root / "dir").mkdir()
    (root / "a").write_text("old")
    os.mkfifo(root / "pipe")
    assert await refused("write_file", content="x", **args) == code
    assert (root / "a").read_text() == "old"
    assert (root.parent / "secret").read_text() == "secret\n"
    assert names(root) == ["a", "dangling", "dir", "file_link", "here_link", "out", "pipe"]
