"""Saved folders: whole or not there, one writer, damage left behind is cleared away."""

import pytest

from clew.context import shelf


def writes(text):
    def save(folder, previous):
        folder.mkdir()
        (folder / "x").write_text(text + (f" after {previous.name[0]}" if previous else ""))

    return save


def test_the_last_one_published_is_current(tmp_path):
    assert shelf.current(tmp_path) == ""
    first = shelf.publish(tmp_path, "1", writes("one"))
    second = shelf.publish(tmp_path, "2", writes("two"))
    assert shelf.current(tmp_path) == second
    assert (tmp_path / second / "x").read_text() == "two after 1"
    third = shelf.publish(tmp_path, "3", writes("three"))
    assert not (tmp_path / first).exists()
    assert {path.name for path in tmp_path.iterdir()} == {second, third, "CURRENT"}


def test_folders_that_are_not_its_own_stay(tmp_path):
    (tmp_path / "of-somebody").mkdir()
    for n in "12":
        shelf.publish(tmp_path, n, writes("x"))
    assert (tmp_path / "of-somebody").is_dir()


def test_what_fails_leaves_the_current_one(tmp_path):
    first = shelf.publish(tmp_path, "1", writes("one"))

    def fails(folder, previous):
        folder.mkdir()
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        shelf.publish(tmp_path, "2", fails)
    assert shelf.current(tmp_path) == first
    assert {path.name for path in tmp_path.iterdir()} == {first, "CURRENT"}


@pytest.mark.parametrize("text", ["../x", "gone", "", ".lock", "\udcff"])
def test_a_name_that_is_none_is_not_followed(tmp_path, text):
    (tmp_path / "x").mkdir()
    (tmp_path / "CURRENT").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert shelf.current(tmp_path) == ""


def test_one_process_publishes_at_a_time(tmp_path):
    with shelf.locked(tmp_path) as first, shelf.locked(tmp_path) as second:
        assert first
        assert not second
    with shelf.locked(tmp_path) as again:
        assert again
