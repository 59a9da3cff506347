"""The exported file: there and back, and hostile ones."""

import base64
import gzip
import json

import pytest

from clew.core.errors import NotFound, UsageError
from clew.stores.bundle_file import read_bundle, write_bundle


@pytest.fixture
async def bundle(journal, story):
    await journal.blobs.put(b"unrelated")
    await story.whole(journal)
    return await journal.dump("r1")


def test_there_and_back(bundle, tmp_path):
    file = tmp_path / "run.clew"
    write_bundle(bundle, file)
    assert read_bundle(file) == bundle
    assert file.stat().st_mode & 0o077 == 0
    first = file.read_bytes()
    write_bundle(bundle, file)
    assert file.read_bytes() == first
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["run.clew"]


async def test_redacted(journal, bundle, tmp_path):
    redacted = await journal.dump("r1", redacted=True)
    write_bundle(redacted, tmp_path / "run.clew")
    assert read_bundle(tmp_path / "run.clew") == redacted


def lines(*objects):
    return gzip.compress(b"".join(json.dumps(one).encode() + b"\n" for one in objects))


HEADER = {"format": 1, "run": "r", "redacted": False, "events": 0, "blobs": 0}
EVENT = {"envelope": "{}", "digest": "", "hash": "0" * 64}


NO_BUNDLES = [
    b"",
    b"no gzip",
    lines(HEADER)[:-9],
    lines(HEADER)[:20],
    gzip.compress(b""),
    gzip.compress(b"not json\n"),
    gzip.compress(b"\xff\xfe\n"),
    gzip.compress(b"[" * 100_000 + b"\n"),
    lines([]),
    lines({**HEADER, "events": 1}),
    lines({**HEADER, "events": 10**12}),
    lines({**HEADER, "events": -1}),
    lines({**HEADER, "blobs": 1}),
    lines({**HEADER, "more": 1}),
    lines(HEADER, EVENT),
    lines({**HEADER, "events": 1}, {**EVENT, "salt": "zz"}),
    lines({**HEADER, "events": 1}, {**EVENT, "hash": 7}),
    lines({**HEADER, "blobs": 1}, {"address": "../x", "data": "*"}),
]


@pytest.mark.parametrize("content", NO_BUNDLES, ids=[f"content{i}" for i in range(len(NO_BUNDLES))])
def test_what_is_no_bundle(tmp_path, content):
    file = tmp_path / "x.clew"
    file.write_bytes(content)
    with pytest.raises(UsageError, match="no bundle"):
        read_bundle(file)


def test_a_small_file_that_unpacks_to_a_huge_one(tmp_path):
    file = tmp_path / "bomb.clew"
    with gzip.open(file, "wb") as out:
        out.write(json.dumps({**HEADER, "events": 1}).encode() + b"\n")
        for _ in range(64):
            out.write(b" " * 1_000_000)
    assert file.stat().st_size < 100_000
    with pytest.raises(UsageError, match="larger than 32 MiB"):
        read_bundle(file, limit=32 * 1024 * 1024)


def test_names_of_blobs_are_never_paths(tmp_path):
    """An address is a key in a dict until it was checked against its bytes."""
    file = tmp_path / "x.clew"
    file.write_bytes(lines({**HEADER, "blobs": 1}, {"address": "../../x", "data": base64.b64encode(b"x").decode()}))
    assert read_bundle(file).blobs == {"../../x": b"x"}
    assert [path.name for path in tmp_path.iterdir()] == ["x.clew"]


def test_places(bundle, tmp_path):
    with pytest.raises(NotFound):
        read_bundle(tmp_path / "nothing")
    with pytest.raises(UsageError):
        read_bundle(tmp_path)
    with pytest.raises(UsageError, match="cannot write"):
        write_bundle(bundle, tmp_path / "nowhere" / "x.clew")
    (tmp_path / "link.part").symlink_to(tmp_path / "victim")
    with pytest.raises(UsageError, match="cannot write"):
        write_bundle(bundle, tmp_path / "link")
    assert not (tmp_path / "victim").exists()
