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
    complete_lines,
    decode,
    decode_brief,
    encode,
    is_whole,
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


def test_lines_end_with_a_line_feed(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"one\ntwo\nthr")
    handle = os.open(path, os.O_RDONLY)
    assert list(complete_lines(handle, 0)) == [b"one\n", b"two\n"]
    assert list(complete_lines(handle, 4)) == [b"two\n"]
    assert list(complete_lines(handle, 8)) == []
    os.close(handle)
