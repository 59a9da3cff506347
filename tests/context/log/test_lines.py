"""Lines of the JSONL log: JSON that anybody reads, with a checksum that nothing slips past."""

import json
import os
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clew.context.log.lines import (
    Attached,
    AttachedNumbers,
    Head,
    Labelled,
    Numbers,
    Wrote,
    WroteNumbers,
    decode,
    decode_brief,
    encode,
    is_cut,
    is_whole,
    lines_from,
)
from clew.gate.ports.context import Relation, Version

VERSION = Version(
    n=3, id="ü", version=2, parent=1, text="a\nb", metadata={"k": [1]}, vector=b"\0\1\2\3", embedder="m", origin="cli", at=5,
    relations=(Relation(subject="s", relation="r", object="o"),),
)  # fmt: skip


@pytest.mark.parametrize(
    ("line", "brief"),
    [
        (Head(floor=2, m=3), Head(floor=2, m=3)),
        (Wrote(VERSION, 9, more=True), WroteNumbers(Numbers(3, "ü", 2, 5), 9, more=True)),
        (Attached(4, 3, "m", b"\0\0\0\0"), AttachedNumbers(4, 3, "m")),
        (Labelled("x", 3, 5), Labelled("x", 3, 5)),
        (Labelled("x", None), Labelled("x", None)),
    ],
)
def test_lines_come_back(line: Wrote, brief: WroteNumbers) -> None:
    data = encode(line)
    assert data.count(b"\n") == 1
    assert is_whole(data)
    assert decode(data) == line
    assert decode_brief(data) == brief
    assert json.loads(data)["type"] in ("context log", "version", "vector", "label")


@given(place=st.integers(0, len(encode(Wrote(VERSION, 9))) - 1), bits=st.integers(1, 255))
@settings(max_examples=150, deadline=None)
def test_a_changed_byte_is_noticed(place: int, bits: int) -> None:
    data = bytearray(encode(Wrote(VERSION, 9)))
    data[place] ^= bits
    assert not is_whole(bytes(data))


@pytest.mark.parametrize("data", [b"", b"\n", b'{"type":"label"}\n', b',"crc":"00000000"}\n'])
def test_what_is_no_line(data: bytes) -> None:
    assert not is_whole(data)


def test_a_kind_that_is_not_known() -> None:
    with pytest.raises(msgspec.MsgspecError):
        decode(b'{"type":"novelty","crc":"00000000"}\n')


@pytest.mark.parametrize("offset", [0, 100, 511])
def test_what_a_crash_may_have_cut(offset: int) -> None:
    whole = encode(Wrote(VERSION, 9))[:-1] + b"x" * 2000 + b"\n"
    assert not is_cut(whole, offset)
    assert is_cut(whole[:-1], offset)
    for start in range(-offset, len(whole), 512):
        first, last = max(0, start), min(start + 512, len(whole))
        assert is_cut(whole[:first] + bytes(last - first) + whole[last:], offset)
        assert last - first == 1 or not is_cut(whole[:first] + b"x" + bytes(last - first - 2) + b"x\n", offset)


def test_a_changed_line_feed_is_no_cut() -> None:
    data = encode(Wrote(VERSION, 9))
    assert is_cut(data[:-1], 0)
    assert not is_cut(data[:-1] + b"\v", 0)


def test_lines_end_with_a_line_feed(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"one\ntwo\nthr")
    handle = os.open(path, os.O_RDONLY)
    assert list(lines_from(handle, 0)) == [b"one\n", b"two\n", b"thr"]
    assert list(lines_from(handle, 4)) == [b"two\n", b"thr"]
    assert list(lines_from(handle, 11)) == []
    os.close(handle)
