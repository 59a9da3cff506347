"""What a folder has no more: its documents are told, and removed on request; never where nothing can be read."""

import os
import shutil

import pytest

from clew.context.ingest.files import Options, bring_in, found, left_behind
from clew.context.ingest.folders import gone, mark, seen, walked
from clew.gate.ports.context import Put


def told(*_):
    pass


def imported(collection, folder, **options):
    return bring_in(collection, found([folder]), Options(**options), told)


def test_what_is_read_of_a_folder(folder):
    assert sorted(one.relative_to(folder).as_posix() for one in walked(folder)) == ["a.md", "notes.txt", "src/tool.py"]
    assert {path.name: kind for path, kind in seen(folder) if kind} == {
        ".hidden": "hidden", "node_modules": "folder", "link.md": "link", "picture.png": ".png",
    }  # fmt: skip
    assert mark(folder) != mark(folder / "src")
    assert str(folder.parent) not in mark(folder)


def test_nothing_is_gone_of_what_was_never_there(collection, folder):
    assert gone(collection, folder) == ([], [])


def test_documents_of_files_that_are_gone_are_told_and_removed_on_request(collection, folder):
    imported(collection, folder)
    bring_in(collection, found([folder / "notes.txt"]), Options(), told)
    collection.write([Put(id="given/by-hand#0", text="mine"), Put(id="given/odd", metadata={"folder": "x"})])
    (folder / "a.md").unlink()
    shutil.rmtree(folder / "src")
    (folder / "notes.txt").rename(folder / ".notes.txt")
    gone = ["given/a.md#0", "given/a.md#1", "given/notes.txt#0", "given/src/tool.py#0", "given/src/tool.py#1"]
    (folder / "b.md").write_text("here")
    assert imported(collection, folder).removed == 0
    sure, unsure = left_behind(collection, [folder, folder / "b.md", folder])
    assert (sorted(sure), unsure) == (gone, [])
    report = imported(collection, folder, prune=True)
    assert (report.removed, report.unchanged) == (5, 1)
    assert left_behind(collection, [folder]) == ([], [])
    assert sorted(collection.log.ids()) == ["given/b.md#0", "given/by-hand#0", "given/odd", "notes.txt#0"]
    head = collection.log.head()
    assert imported(collection, folder, prune=True).removed == 0
    assert collection.log.head() == head


def test_files_given_by_themselves_prune_nothing(collection, folder):
    imported(collection, folder)
    (folder / "a.md").unlink()
    assert bring_in(collection, found([folder / "notes.txt"]), Options(prune=True), told).removed == 0
    assert left_behind(collection, [folder / "notes.txt"]) == ([], [])
    assert bring_in(collection, found([folder / "src"]), Options(prune=True), told).removed == 0, "it is another folder"


def test_another_folder_of_that_name_loses_nothing(collection, twice):
    for one in twice:
        bring_in(collection, found([one]), Options(), told)
    for one in twice:
        (one / "more.md").write_text("more")
        (one / "README.md").unlink()
    assert bring_in(collection, found([twice[1]]), Options(prune=True), told).removed == 1
    assert "docs/README.md#0" in list(collection.log.ids())


def test_where_nothing_is_found_nothing_is_pruned(collection, folder):
    imported(collection, folder)
    kept = sorted(collection.log.ids())
    away = folder.rename(folder.parent / "away")
    folder.mkdir()  # as where a disk is not mounted
    for more in (None, ".marker", "picture.png"):
        if more:
            (folder / more).touch()
        assert imported(collection, folder, prune=True).removed == 0
        sure, unsure = left_behind(collection, [folder])
        assert (sure, sorted(unsure)) == ([], kept)
    shutil.copytree(away, folder, dirs_exist_ok=True, symlinks=True)
    (folder / "src" / "tool.py").unlink()  # and so it is with one within
    assert imported(collection, folder, prune=True).removed == 0
    assert len(left_behind(collection, [folder]).unsure) == 2
    (folder / "src").rmdir()
    assert imported(collection, folder, prune=True).removed == 2


@pytest.mark.parametrize("closed", ["", "src"])
def test_what_cannot_be_read_is_not_pruned(collection, folder, monkeypatch, closed):
    imported(collection, folder)
    kept, scandir = sorted(collection.log.ids()), os.scandir
    tries = []

    def refusing(path):
        if os.fspath(path) == os.fspath(folder / closed) and not tries:
            tries.append(path)
            raise OSError(116, "Stale file handle", os.fspath(path))
        return scandir(path)

    listed = found([folder])
    (folder / "src" / "tool.py").unlink()
    (folder / "src" / "new.py").touch()
    monkeypatch.setattr(os, "scandir", refusing)
    assert bring_in(collection, listed, Options(prune=True), told).removed == 0, (
        "though it can be read again just after"
    )
    assert sorted(collection.log.ids()) == kept
    assert bring_in(collection, listed, Options(prune=True), told).removed == 2


def test_a_file_that_cannot_be_read_any_more_is_not_gone(collection, folder):
    imported(collection, folder)
    (folder / "a.md").write_bytes(b"\x00")
    report = imported(collection, folder, prune=True)
    assert (report.removed, len(report.skipped)) == (0, 1)


def test_names_that_lead_elsewhere_are_looked_at_and_no_more(collection, folder, tmp_path):
    imported(collection, folder)
    mark = collection.get("given/a.md#0").metadata["folder"]
    odd = [
        "given//etc/x#0",
        "given/../given/a.md#0",
        "given/" + "a/" * 400 + "x#0",
        "given/a.md/x#0",
        "given/#0",
        "/#0",
    ]
    collection.write([Put(id=name, text="x", metadata={"folder": mark}) for name in odd])
    before = sorted(tmp_path.rglob("*"))
    assert imported(collection, folder, prune=True).removed > 0
    assert len(list(collection.log.ids("given/a.md#"))) == 2
    assert sorted(tmp_path.rglob("*")) == before
