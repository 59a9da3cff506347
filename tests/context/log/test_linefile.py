"""The file of the JSONL log: unfinished ends, damage, other files, disks that refuse."""

import errno
import os
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clew.context.log.linefile import LineFile
from clew.context.log.lines import Head, Labelled, Numbers, Wrote, encode
from clew.core.errors import JournalError
from clew.gate.ports.context import Version


def wrote(n: int, *, more: bool = False) -> Wrote:
    return Wrote(Version(n=n, id=f"d{n}", version=1, text="t" * 10), 12, more=more)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "truth"
    path.touch()
    return path


@pytest.fixture
def opened(path: Path) -> Iterator[Callable[[], LineFile]]:
    made: list[LineFile] = []

    def make() -> LineFile:
        made.append(LineFile(path))
        made[-1].refresh()
        return made[-1]

    yield make
    for file in made:
        file.close()


def test_what_is_appended_is_read(path: Path, opened: Callable[[], LineFile]) -> None:
    file, other = opened(), opened()
    file.append([wrote(1), wrote(2)])
    file.append([])
    assert path.read_bytes() == encode(Head()) + encode(wrote(1, more=True)) + encode(wrote(2))
    assert other.has_changed()
    other.refresh()
    assert (other.places.head, file.places.head) == (2, 2)
    assert not other.has_changed()
    assert not file.has_changed()
    assert other.read(other.places.span(1)) == wrote(2)


def test_any_unfinished_end_is_cut_off_by_the_next_write(
    path: Path, opened: Callable[[], LineFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file ends here and there, and around the end of every line; whole writes before it stay."""
    monkeypatch.setattr(os, "fdatasync", lambda _: None)
    first = opened()
    first.append([wrote(1)])
    kept = len(path.read_bytes())
    first.append([wrote(2), wrote(3)])
    whole = path.read_bytes()
    ends = [at for at, byte in enumerate(whole) if byte == ord("\n")]
    for end in sorted(
        {*range(0, len(whole), 7), *(at + by for at in ends[:-1] for by in range(-2, 3)), len(whole) - 1}
    ):
        path.write_bytes(whole[:end])
        file = LineFile(path)
        file.refresh()
        assert file.places.head == (1 if end >= kept else 0)
        assert path.read_bytes() == whole[:end]  # readers cut nothing
        file.append([wrote(9)])
        again = LineFile(path)
        again.refresh()
        assert (again.places.head, again.places.versions) == (9, 2 if end >= kept else 1)
        assert path.read_bytes().startswith(whole[: kept if end >= kept else len(encode(Head()))])
        file.close()
        again.close()


def test_a_last_line_whose_sector_was_not_written_is_an_unfinished_one(
    path: Path, opened: Callable[[], LineFile]
) -> None:
    """A machine that crashed may have written the sectors of a write in any order."""
    opened().append([wrote(1)])
    good = path.read_bytes()
    start = 512 - len(good)
    large = encode(Wrote(Version(n=2, id="d2", version=1, text="t" * 2000), 2000))
    path.write_bytes(good + large[:start] + bytes(512) + large[start + 512 :] + encode(wrote(3, more=True)) + b'{"typ')
    file = opened()
    assert file.places.head == 1
    file.append([wrote(2)])
    assert path.read_bytes() == good + encode(wrote(2))


@pytest.mark.parametrize("byte", [0, ord("x"), ord("\n")])
@pytest.mark.parametrize("batch", [1, 2])
def test_damage_at_the_end_is_an_error(
    path: Path, opened: Callable[[], LineFile], monkeypatch: pytest.MonkeyPatch, byte: int, batch: int
) -> None:
    """Whichever byte of the last write it is: it was acknowledged, and no crash leaves it like this."""
    monkeypatch.setattr(os, "fdatasync", lambda _: None)
    file = opened()
    file.append([wrote(1)])
    start = path.stat().st_size
    file.append([wrote(n) for n in range(2, 2 + batch)])
    whole = path.read_bytes()
    for place in range(start, len(whole)):
        path.write_bytes(whole[:place] + bytes([byte]) + whole[place + 1 :])
        damaged = LineFile(path)
        if whole[place] != byte:
            with pytest.raises(JournalError, match=f"damaged: line .*(cut the file at byte {start}|delete that line)"):
                damaged.refresh()
        damaged.close()
    path.write_bytes(whole[:start])  # as it says
    assert opened().places.head == 1


def test_damage_in_the_middle_is_an_error(path: Path, opened: Callable[[], LineFile]) -> None:
    file = opened()
    file.append([wrote(1)])
    start = path.stat().st_size
    file.append([wrote(2)])
    end = path.stat().st_size
    file.append([wrote(3)])
    data = bytearray(path.read_bytes())
    data[start + 40] ^= 1
    path.write_bytes(data)
    with pytest.raises(JournalError, match=rf"damaged: line 3, at byte {start}, .*delete that line"):
        opened()
    with pytest.raises(JournalError, match=rf"damaged: at byte {start}"):
        file.read(file.places.span(1))
    path.write_bytes(data[:start] + data[end:])  # as it says
    assert list(opened().places.after(0, 9)) == [0, 1]


def test_where_a_part_of_the_last_write_is_gone_all_of_it_is_to_go(path: Path, opened: Callable[[], LineFile]) -> None:
    file = opened()
    file.append([wrote(1)])
    start = path.stat().st_size
    file.append([wrote(n) for n in range(2, 40)])
    data = bytearray(path.read_bytes())
    sector = (start // 512 + 3) * 512
    data[sector : sector + 512] = bytes(512)
    path.write_bytes(data)
    with pytest.raises(JournalError, match=rf"cut the file at byte {start}, which loses what was written last"):
        opened()


def test_damage_is_found_by_followers(path: Path, opened: Callable[[], LineFile]) -> None:
    file, follower = opened(), opened()
    file.append([wrote(1)])
    follower.refresh()
    start = path.stat().st_size
    file.append([wrote(2)])
    file.append([wrote(3)])
    data = bytearray(path.read_bytes())
    data[start] = 0
    path.write_bytes(data)
    with pytest.raises(JournalError, match="line 3"):
        follower.refresh()
    assert follower.places.head == 1


@pytest.mark.parametrize(
    "data",
    [
        b"name,size\na,1\n", b"some notes", b"\0" * 100, b'{"type":"context log"}\n', b'{"type":"context log"}\nx',
        encode(Labelled("x", 1)), encode(wrote(1)), b"x" + encode(Head()) + encode(wrote(1)),
    ],
)  # fmt: skip
def test_another_file_is_left_alone(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    file = LineFile(path)
    with pytest.raises(JournalError, match="no context log"):
        file.refresh()
    file.close()
    assert path.read_bytes() == data


def test_a_newer_schema(path: Path, opened: Callable[[], LineFile]) -> None:
    path.write_bytes(encode(Head(schema=2)))
    with pytest.raises(JournalError, match=r"schema 2, this Clew knows schema 1.*upgrade"):
        opened()


def test_a_newer_kind_of_line(path: Path, opened: Callable[[], LineFile]) -> None:
    novelty = encode(Labelled("x", 1)).replace(b"label", b"merge")
    body = novelty[: novelty.index(b',"crc"')]
    path.write_bytes(encode(Head()) + b'%s,"crc":"%08x"}\n' % (body, zlib.crc32(body)))
    with pytest.raises(JournalError, match=r"line 2, at byte .*cannot be read.*upgrade"):
        opened()


def test_a_file_that_was_cut(path: Path, opened: Callable[[], LineFile]) -> None:
    file = opened()
    file.append([wrote(1)])
    file.append([wrote(2)])
    os.truncate(path, path.stat().st_size - 10)
    assert file.has_changed()
    with pytest.raises(JournalError, match="something cut it"):
        file.refresh()


def test_a_disk_that_is_full(path: Path, opened: Callable[[], LineFile], monkeypatch: pytest.MonkeyPatch) -> None:
    file = opened()
    file.append([wrote(1)])
    before, real = path.read_bytes(), os.pwrite

    def full(handle: int, data: memoryview, offset: int) -> int:
        if offset > len(before):
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(handle, data[:7], offset)

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(JournalError, match="No space left"):
        file.append([wrote(2)])
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert file.places.head == 1
    file.append([wrote(2)])
    assert opened().places.head == 2


def test_a_disk_that_does_not_sync(path: Path, opened: Callable[[], LineFile], monkeypatch: pytest.MonkeyPatch) -> None:
    file = opened()
    file.append([wrote(1)])
    before = path.read_bytes()

    def fail(handle: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", fail)
    with pytest.raises(JournalError, match="Input/output error"):
        file.append([wrote(2)])
    assert path.read_bytes() == before


def test_writing_anew_leaves_the_old_file_or_the_new_one(path: Path, opened: Callable[[], LineFile]) -> None:
    file, follower = opened(), opened()
    for n in (1, 2, 3):
        file.append([wrote(n)])
    before = path.read_bytes()

    def lines() -> Iterator[Wrote]:
        yield wrote(1)
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        file.replace(lines())
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["truth"]
    file.replace([Head(floor=3, m=5), wrote(2, more=True), wrote(3)])
    assert path.read_bytes() == encode(Head(floor=3, m=5)) + encode(wrote(2)) + encode(wrote(3))
    assert path.stat().st_mode & 0o777 == 0o600
    assert follower.has_changed()
    follower.refresh()
    for found in (file.places, follower.places):
        assert (found.versions, found.floor, found.m, found.head) == (2, 3, 5, 3)


def test_numbers_are_what_memory_needs() -> None:
    assert Numbers(1, "a", 1, 5) == Numbers(n=1, id="a", version=1, at=5, deleted=False)
