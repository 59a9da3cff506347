"""Files as they were saved, or not."""

import pytest

from clew.context.damage import Damaged
from clew.context.prints import check, prints


@pytest.mark.parametrize("size", [0, 100, 5_000_000])
def test_a_folder_as_it_was_saved(tmp_path, size):
    (tmp_path / "part").mkdir()
    file = tmp_path / "part" / "file"
    file.write_bytes(b"a" * size)
    known = prints(tmp_path)
    assert list(known) == ["part/file"]
    check(tmp_path, known)
    with file.open("ab") as longer:
        longer.write(b"more")
    check(tmp_path, known)
    file.write_bytes(b"b" * size)
    if size:
        with pytest.raises(Damaged, match="part/file is not what was saved"):
            check(tmp_path, known)
    file.unlink()
    with pytest.raises(Damaged, match="No such file"):
        check(tmp_path, known)


def test_the_end_of_a_large_file_is_looked_at(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"a" * 3_000_000)
    known = prints(tmp_path)
    file.write_bytes(b"a" * 2_999_999 + b"b")
    with pytest.raises(Damaged):
        check(tmp_path, known)
    file.write_bytes(b"a" * 2_999_999)
    with pytest.raises(Damaged):
        check(tmp_path, known)
