"""Importing: what is new is written, what is unchanged is passed over, what is gone is removed."""

import os
import shutil
from pathlib import Path

import pytest

from clew.context.ingest import files, readers
from clew.context.ingest import report as reporting
from clew.context.ingest.files import Options, bring_in, found, left_behind
from clew.core.errors import UsageError
from clew.gate.ports.context import Put, Query, Remove


def told(*_):
    pass


def imported(collection, folder, **options):
    return bring_in(collection, found([folder]), Options(**options), told)


def test_a_folder(collection, folder):
    report = imported(collection, folder, tags=("docs",))
    assert (report.files, report.documents, report.unchanged, report.skipped) == (3, 5, 0, [])
    assert sorted(collection.log.ids()) == [
        "given/a.md#0", "given/a.md#1", "given/notes.txt#0", "given/src/tool.py#0", "given/src/tool.py#1",
    ]  # fmt: skip
    first = collection.get("given/a.md#0")
    assert first.metadata | {"digest": "", "folder": ""} == {
        "path": "a.md", "folder": "", "kind": "markdown", "digest": "", "tags": ["docs"],
        "title": "Pumps", "line": 1, "part": 0, "parts": 2,
    }  # fmt: skip
    assert (
        collection.search(Query(text="leaking pump", filter={"term": {"tags": "docs"}})).hits[0].doc_id
        == "given/a.md#0"
    )
    assert ("src/tool.py", "imports", "os") in {
        (r.subject, r.relation, r.object) for r in collection.get("given/src/tool.py#0").relations
    }


def test_what_is_unchanged_is_passed_over(collection, folder):
    imported(collection, folder)
    head = collection.log.head()
    report = imported(collection, folder)
    assert (report.documents, report.unchanged) == (0, 3)
    assert collection.log.head() == head


def test_what_a_file_no_longer_says_is_removed(collection, folder):
    imported(collection, folder)
    (folder / "a.md").write_text("# Pumps\nThe pump was mended.\n")
    report = imported(collection, folder)
    assert (report.documents, report.removed, report.unchanged) == (1, 1, 2)
    assert collection.get("given/a.md#1") is None
    assert "mended" in collection.get("given/a.md#0").text


def test_other_tags_are_a_change(collection, folder):
    imported(collection, folder)
    assert imported(collection, folder, tags=("x",)).documents == 5


def test_what_cannot_be_read_is_left_out_and_said(collection, folder):
    (folder / "bad.txt").write_bytes(b"\x00\x01\x02")
    report = imported(collection, folder)
    assert report.files == 3
    assert report.skipped == [{"path": "given/bad.txt", "why": "bad.txt is no text"}]


def test_progress_is_told_after_each_file(collection, folder):
    seen = []
    bring_in(collection, found([folder]), Options(), lambda report, name: seen.append((report.files, name)))
    assert seen == [(1, "given/a.md"), (2, "given/notes.txt"), (3, "given/src/tool.py")]


def test_a_single_file_and_what_is_not_there(folder):
    assert [one.root for one in found([folder / "notes.txt"]).files] == ["notes.txt"]
    with pytest.raises(UsageError, match="no file or folder"):
        found([folder / "gone"])


@pytest.mark.parametrize("together", [True, False])
def test_two_folders_of_one_name_are_two(collection, twice, together):
    for folders in [twice] if together else [[one] for one in twice]:
        bring_in(collection, found(folders), Options(), told)
    names = sorted(collection.log.ids())
    mark = collection.get(names[1]).metadata["folder"]
    assert names == ["docs/README.md#0", f"docs~{mark}/README.md#0"]
    assert {collection.get(name).text for name in names} == {"words of x", "words of y"}
    head = collection.log.head()
    for folders in ([twice[1]], [twice[0]], twice, twice[::-1]):
        assert bring_in(collection, found(folders), Options(), told).documents == 0
    assert collection.log.head() == head


def test_two_files_of_one_name_are_two(collection, twice):
    for folder in twice * 2:
        bring_in(collection, found([folder / "README.md"]), Options(), told)
    assert len(list(collection.log.ids("README.md"))) == 2
    assert len(found([twice[0], twice[0] / "README.md", twice[0]]).files) == 1


def test_a_folder_is_the_same_wherever_it_is_looked_at_from(collection, twice, monkeypatch):
    bring_in(collection, found([twice[0]]), Options(), told)
    monkeypatch.chdir(twice[0])
    assert bring_in(collection, found([Path()]), Options(), told).unchanged == 1
    monkeypatch.chdir(twice[1])
    assert bring_in(collection, found([Path("../../x/docs/")]), Options(), told).unchanged == 1


def test_what_somebody_wrote_by_hand_belongs_to_no_folder(collection, twice):
    collection.write([Put(id="docs/a", text="by hand"), Put(id="docs/b", metadata={"folder": 7})])
    bring_in(collection, found([twice[0]]), Options(), told)
    assert collection.get("docs/README.md#0").text == "words of x"


def test_a_folder_keeps_its_name_when_the_other_one_of_that_name_is_gone(collection, twice):
    for one in twice:
        bring_in(collection, found([one]), Options(), told)
    collection.write([Remove(id="docs/README.md#0")])
    (name,) = collection.log.ids()
    assert bring_in(collection, found([twice[1]]), Options(), told).unchanged == 1
    assert [*collection.log.ids()] == [name]
    bring_in(collection, found([twice[0]]), Options(), told)
    assert [*collection.log.ids()] == ["docs/README.md#0", name]


def test_a_prune_that_was_interrupted_goes_on(collection, folder, monkeypatch):
    monkeypatch.setattr(reporting, "BATCH", 2)
    imported(collection, folder)
    (folder / "a.md").unlink()
    shutil.rmtree(folder / "src")
    (folder / "new.md").write_text("new")
    write, writes = collection.write, []

    def stopping(changes):
        writes.append(changes)
        if len(writes) == 3:
            raise KeyboardInterrupt
        return write(changes)

    monkeypatch.setattr(collection, "write", stopping)
    with pytest.raises(KeyboardInterrupt):
        imported(collection, folder, prune=True)
    assert collection.get("given/new.md#0")
    assert len(left_behind(collection, [folder]).sure) == 2
    assert imported(collection, folder, prune=True).removed == 2
    assert sorted(collection.log.ids()) == ["given/new.md#0", "given/notes.txt#0"]


def test_what_is_no_plain_file_is_not_opened(collection, tmp_path):
    os.mkfifo(tmp_path / "pipe.txt")
    (tmp_path / "link.txt").symlink_to("/etc/passwd")
    (tmp_path / "up").symlink_to("..")
    (tmp_path / "ok.txt").write_text("words")
    (tmp_path / "loop").symlink_to("loop")
    assert [one.below for one in found([tmp_path]).files] == ["ok.txt"]
    with pytest.raises(UsageError, match="no file or folder"):
        found([tmp_path / "pipe.txt"])
    for odd in (tmp_path / "loop", Path("a\0b"), Path("x" * 5000), tmp_path / "ok.txt" / "below"):
        with pytest.raises(UsageError, match="no file or folder"):
            found([odd])


def test_a_name_that_is_no_text_is_left_out_and_said(collection, tmp_path):
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "ok.md").write_text("words")
    (folder / os.fsdecode(b"\xff.md")).write_text("words")
    report = bring_in(collection, found([folder]), Options(), told)
    assert (report.files, report.documents) == (1, 1)
    assert report.skipped == [{"path": "docs/\\udcff.md", "why": "its name is no UTF-8 text"}]


def test_a_folder_that_cannot_be_read_is_said(collection, folder, monkeypatch):
    """As a folder without permission is, also where the tests run as root."""
    scandir, read_bytes = os.scandir, Path.read_bytes

    def refusing(path):
        if os.fspath(path).endswith("src"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    def refused(path):
        if path.name == "src":
            raise PermissionError(13, "Permission denied", path)
        return read_bytes(path)

    monkeypatch.setattr(os, "scandir", refusing)
    monkeypatch.setattr(Path, "read_bytes", refused)
    report = imported(collection, folder)
    assert report.files == 2
    assert report.skipped == [{"path": "given/src", "why": "Permission denied"}]


def test_what_is_passed_over_is_counted(collection, folder):
    for name in ("rows.jsonl", "b.PNG", "Makefile", "empty.txt", "blank.md"):
        (folder / name).write_text(" \n")
    os.mkfifo(folder / "pipe.txt")
    (folder / "up").symlink_to("..")
    for _ in range(2):
        report = imported(collection, folder)
        assert {kind: (one.count, one.paths) for kind, one in report.passed.items()} == {
            "hidden": (1, ["given/.hidden"]), "folder": (1, ["given/node_modules"]), "no suffix": (1, ["given/Makefile"]),
            "link": (2, ["given/up", "given/link.md"]), "no file": (1, ["given/pipe.txt"]), ".jsonl": (1, ["given/rows.jsonl"]),
            ".png": (2, ["given/b.PNG", "given/picture.png"]), "no text": (2, ["given/blank.md", "given/empty.txt"]),
        }  # fmt: skip
    assert (report.files, report.unchanged, report.documents) == (3, 3, 0)
    (folder / "rows.jsonl").write_text('{"id": "x"}')
    report = bring_in(collection, found([folder, folder / "rows.jsonl", folder / "picture.png"]), Options(), told)
    assert (report.files, report.documents, report.passed[".png"].count) == (5, 2, 1)
    assert ".jsonl" not in report.passed


def test_a_file_that_lost_its_text_loses_its_documents(collection, folder):
    imported(collection, folder)
    (folder / "a.md").write_text("")
    report = imported(collection, folder)
    assert (report.removed, report.unchanged, report.passed["no text"].count) == (2, 2, 1)


def test_what_was_left_out_of_a_file_is_said_each_time(collection, tmp_path, monkeypatch):
    (tmp_path / "rows.csv").write_text("a\n" + f"{'word ' * 300}\n" * 5)
    monkeypatch.setattr(readers, "_MOST_TOLD", 3200)
    for unchanged in (0, 1):
        report = bring_in(collection, found([tmp_path / "rows.csv"]), Options(), told)
        assert (report.files, report.unchanged) == (1, unchanged)
        assert report.skipped == [{"path": "rows.csv", "why": "read up to row 3: 3,200 characters; split it"}]
    monkeypatch.setattr(readers, "_MOST_TOLD", 10_000)
    (tmp_path / "rows.csv").write_text("a\n" + f"{'word ' * 300}\n" * 4)
    assert bring_in(collection, found([tmp_path / "rows.csv"]), Options(), told).skipped == []


def test_what_an_earlier_edition_read_is_read_anew(collection, folder, monkeypatch):
    monkeypatch.setattr(files, "_EDITION", b"1")
    imported(collection, folder)
    monkeypatch.undo()
    assert (imported(collection, folder).documents, imported(collection, folder).unchanged) == (5, 3)


def test_a_long_class_keeps_what_its_methods_say(collection, tmp_path):
    methods = "".join(
        f"    def m{n}(self):\n        helper{n}()\n        x = {'1 + ' * 100}1\n        last{n}()\n\n"
        for n in range(12)
    )
    (tmp_path / "big.py").write_text(f"import os\n\nclass Big:\n{methods}")
    bring_in(collection, found([tmp_path / "big.py"]), Options(), told)
    stated = {
        name: {(r.subject, r.relation, r.object) for r in collection.get(name).relations}
        for name in collection.log.ids()
    }
    assert {("Big.m3", "calls", "helper3"), ("Big.m3", "calls", "last3")} < set().union(*stated.values())
    (where,) = [name for name, facts in stated.items() if ("Big.m7", "calls", "helper7") in facts]
    assert collection.get(where).metadata["title"] == "Big.m7"
    report = bring_in(collection, found([tmp_path / "big.py"]), Options(graph=False, tags=("t",)), told)
    assert report.documents > 0
    assert not any(collection.get(name).relations for name in collection.log.ids())
