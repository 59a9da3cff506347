import difflib

import pytest

from clew.core.errors import Failure
from clew.tools.builtin import apply_patch as module
from clew.tools.text import Replacement, split_lines

OLD = "".join(f"line {n}\n" for n in range(1, 31))


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def diff(old: str, new: str, path: str = "a.txt") -> str:
    lines = difflib.unified_diff(split_lines(old), split_lines(new), f"a/{path}", f"b/{path}")
    return "".join(line if line.endswith("\n") else line + "\n\\ No newline at end of file\n" for line in lines)


@pytest.mark.parametrize(
    "new",
    [
        OLD.replace("line 3\n", "LINE 3\n"),
        OLD.replace("line 1\n", "").replace("line 30\n", ""),
        "first\n" + OLD + "last\n",
        OLD.rstrip("\n"),
        OLD.replace("line 10\n", "") + "\f form\x0bfeed\u2028here\n",
        "",
    ],
)
async def test_round_trip(new, root, use):
    (root / "a.txt").write_text(OLD)
    result = await use("apply_patch", patch=diff(OLD, new))
    assert (root / "a.txt").read_text() == new
    assert result["files"][0]["action"] == "changed"


async def test_moved_hunk_is_reported(root, use):
    new = OLD.replace("line 20\n", "LINE 20\n")
    (root / "a.txt").write_text("added\nadded\n" + OLD)
    result = await use("apply_patch", patch=diff(OLD, new))
    assert (root / "a.txt").read_text() == "added\nadded\n" + new
    assert result["files"][0]["hunks"] == [{"line": 19, "offset": 2}]
    assert (result["files"][0]["added"], result["files"][0]["removed"]) == (1, 1)


async def test_ambiguous_place_is_refused(root, refused):
    block = "x\ny\nz\n"
    (root / "a.txt").write_text("start\n" + block * 3)
    patch = "--- a/a.txt\n+++ b/a.txt\n@@ -1,3 +1,3 @@\n x\n-y\n+Y\n z\n"
    assert await refused("apply_patch", patch=patch) == "patch_does_not_apply"


async def test_create_delete_rename(root, use):
    (root / "old.txt").write_text("bye\n")
    (root / "from.txt").write_text("same\n")
    patch = (
        "diff --git a/new/n.txt b/new/n.txt\nnew file mode 100644\n--- /dev/null\n+++ b/new/n.txt\n@@ -0,0 +1,2 @@\n+a\n+b\n"
        "diff --git a/old.txt b/old.txt\ndeleted file mode 100644\n--- a/old.txt\n+++ /dev/null\n@@ -1 +0,0 @@\n-bye\n"
        "diff --git a/from.txt b/to.txt\nsimilarity index 100%\nrename from from.txt\nrename to to.txt\n"
        "diff --git a/empty b/empty\nnew file mode 100644\nindex 0000000..e69de29\n"
    )
    dry = await use("apply_patch", patch=patch, dry_run=True)
    assert names(root) == ["from.txt", "old.txt"]
    result = await use("apply_patch", patch=patch)
    assert [file["action"] for file in result["files"]] == ["created", "deleted", "renamed", "created"]
    assert dry["files"] == result["files"]
    assert names(root) == ["empty", "new", "to.txt"]
    assert (root / "new" / "n.txt").read_text() == "a\nb\n"


async def test_all_or_nothing(root, use, refused):
    (root / "a.txt").write_text(OLD)
    (root / "b.txt").write_text("other\n")
    good = diff(OLD, OLD.replace("line 3\n", "X\n"))
    bad = diff("one\ntwo\n", "one\nTWO\n", "b.txt")
    with pytest.raises(Failure) as caught:
        await use("apply_patch", patch=good + bad)
    assert caught.value.code == "patch_does_not_apply"
    assert caught.value.details == [{"path": "b.txt", "hunk": 1, "line": 1, "expected": "one\n", "found": "other\n"}]
    assert (root / "a.txt").read_text() == OLD
    assert names(root) == ["a.txt", "b.txt"]


async def test_a_failure_while_writing_puts_everything_back(root, use, monkeypatch):
    class Failing(Replacement):
        def commit(self) -> None:
            if self._name == "b.txt" and not (root / "tried").exists():
                (root / "tried").touch()
                raise OSError(28, "No space left on device")
            super().commit()

    monkeypatch.setattr(module, "Replacement", Failing)
    (root / "a.txt").write_text("a\n")
    (root / "b.txt").write_text("b\n")
    patch = "--- /dev/null\n+++ b/0.txt\n@@ -0,0 +1 @@\n+0\n" + diff("a\n", "A\n") + diff("b\n", "B\n", "b.txt")
    with pytest.raises(Failure) as caught:
        await use("apply_patch", patch=patch)
    assert caught.value.code == "disk_full"
    assert ((root / "a.txt").read_text(), (root / "b.txt").read_text()) == ("a\n", "b\n")
    assert names(root) == ["a.txt", "b.txt", "tried"]


@pytest.mark.parametrize(
    ("patch", "code"),
    [
        ("hello\n", "invalid_patch"),
        ("@@ -1 +1 @@\n-a\n+b\n", "invalid_patch"),
        ("--- a/a.txt\n+++ b/a.txt\n@@ nonsense @@\n", "invalid_patch"),
        ("--- a/a.txt\n+++ b/a.txt\n", "invalid_patch"),
        ("--- a/a.txt\n+++ b/a.txt\n@@ -1,3 +1,3 @@\n a\n-b\n", "invalid_patch"),
        ("--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-a\n+b\n" * 2, "invalid_patch"),
        ("--- /dev/null\n+++ /dev/null\n@@ -1 +1 @@\n-a\n+b\n", "invalid_patch"),
        ("diff --git a/x b/x\nnew file mode 120000\n--- /dev/null\n+++ b/x\n@@ -0,0 +1 @@\n+/etc\n", "invalid_patch"),
        ("diff --git a/x b/x\nGIT binary patch\n", "invalid_patch"),
        ("--- a/../secret\n+++ b/../secret\n@@ -1 +1 @@\n-secret\n+x\n", "outside_root"),
        ("--- /etc/hostname\n+++ /etc/hostname\n@@ -1 +1 @@\n-a\n+b\n", "outside_root"),
        ("--- a/link\n+++ b/link\n@@ -1 +1 @@\n-secret\n+x\n", "outside_root"),
        ("--- /dev/null\n+++ b/out/x\n@@ -0,0 +1 @@\n+x\n", "outside_root"),
        ("--- /dev/null\n+++ b/a.txt\n@@ -0,0 +1 @@\n+x\n", "exists"),
        ("--- a/none\n+++ b/none\n@@ -1 +1 @@\n-a\n+b\n", "not_found"),
        ("--- a/a.txt\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n", "patch_does_not_apply"),
        ("--- a/a.txt\n+++ b/a.txt\n@@ -999999999,1 +1,1 @@\n-q\n+b\n", "patch_does_not_apply"),
        ("--- a/a.txt\n+++ b/a.txt\n@@ -1,99999999999 +1 @@\n-a\n", "invalid_patch"),
    ],
)
async def test_refuses(patch, code, root, refused):
    (root / "a.txt").write_text("a\nb\n")
    (root / "link").symlink_to("../secret")
    (root / "out").symlink_to("..")
    before = names(root.parent), names(root)
    assert await refused("apply_patch", patch=patch) == code
    assert (names(root.parent), names(root)) == before
    assert (root / "a.txt").read_text() == "a\nb\n"
    assert (root.parent / "secret").read_text() == "secret\n"


async def test_modes(root, use):
    for name, mode in (("keeps", 0o755), ("gets", 0o644), ("loses", 0o755), ("moves", 0o755)):
        (root / name).write_text("a\n")
        (root / name).chmod(mode)
    patch = (
        "--- a/keeps\n+++ b/keeps\n@@ -1 +1 @@\n-a\n+b\n"
        "diff --git a/gets b/gets\nold mode 100644\nnew mode 100755\n"
        "diff --git a/loses b/loses\nold mode 100755\nnew mode 100644\n--- a/loses\n+++ b/loses\n@@ -1 +1 @@\n-a\n+b\n"
        "diff --git a/moves b/moved\nsimilarity index 100%\nrename from moves\nrename to moved\n"
        "diff --git a/new b/new\nnew file mode 100755\n--- /dev/null\n+++ b/new\n@@ -0,0 +1 @@\n+#!/bin/sh\n"
    )
    await use("apply_patch", patch=patch)
    modes = {name: bool((root / name).stat().st_mode & 0o100) for name in names(root)}
    assert modes == {"gets": True, "keeps": True, "loses": False, "moved": True, "new": True}


async def test_text_that_is_not_text(root, refused):
    patch = "--- /dev/null\n+++ b/x\n@@ -0,0 +1 @@\n+\ud800\n"
    assert await refused("apply_patch", patch=patch) == "invalid_patch"
    assert names(root) == []


async def test_quoted_names(root, use):
    (root / "é.txt").write_text("a\n")
    patch = '--- "a/\\303\\251.txt"\n+++ "b/\\303\\251.txt"\n@@ -1 +1 @@\n-a\n+b\n'
    await use("apply_patch", patch=patch)
    assert (root / "é.txt").read_text() == "b\n"
