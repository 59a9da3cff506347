import pytest


async def test_reads_lines_from_where_it_is_told(root, use):
    (root / "a.txt").write_text("one\ntwo\nthree")
    whole = await use("read_file", path="a.txt")
    assert (whole["text"], whole["total_lines"], whole["truncated"], whole["next"]) == (
        "one\ntwo\nthree",
        3,
        False,
        None,
    )
    part = await use("read_file", path="a.txt", start=2, lines=1)
    assert (part["text"], part["next"], part["truncated"]) == ("two\n", 3, True)


async def test_empty_file(root, use):
    (root / "a.txt").touch()
    assert (await use("read_file", path="a.txt"))["text"] == ""


async def test_huge_text_is_cut(root, use):
    (root / "a.txt").write_text("x" * 300_000)
    result = await use("read_file", path="a.txt")
    assert len(result["text"]) == 200_000
    assert result["truncated"]


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("missing", "not_found"),
        ("dir", "is_directory"),
        ("link", "outside_root"),
        ("../secret", "outside_root"),
        ("/etc/passwd", "outside_root"),
        ("binary", "binary_file"),
        ("latin", "binary_file"),
        ("large", "too_large"),
        ("", "invalid_arguments"),
    ],
)
async def test_refuses(path, code, root, refused):
    (root / "dir").mkdir()
    (root / "link").symlink_to("../secret")
    (root / "binary").write_bytes(b"\x7fELF\0\0")
    (root / "latin").write_bytes(b"caf\xe9")
    with (root / "large").open("wb") as file:
        file.truncate(5 * 1024 * 1024)
    assert await refused("read_file", path=path) == code


async def test_device_is_not_read(root, refused):
    (root / "zero").symlink_to("/dev/zero")
    assert await refused("read_file", path="zero") == "outside_root"


async def test_past_the_end(root, refused):
    (root / "a").write_text("x\n")
    assert await refused("read_file", path="a", start=3) == "past_end"
