async def test_lists_in_path_order(root, use):
    for path in ("b.py", "a/x.py", "a/y.txt", ".git/config", "__pycache__/z.pyc"):
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_text("12")
    (root / "link").symlink_to("/etc")
    result = await use("list_files")
    assert [(entry["path"], entry["kind"]) for entry in result["entries"]] == [
        ("a", "directory"), ("b.py", "file"), ("link", "link"), ("a/x.py", "file"), ("a/y.txt", "file"),
    ]  # fmt: skip
    assert [entry["path"] for entry in (await use("list_files", pattern="*.py"))["entries"]] == ["b.py", "a/x.py"]
    assert [entry["path"] for entry in (await use("list_files", pattern="a/*.txt"))["entries"]] == ["a/y.txt"]
    assert [entry["path"] for entry in (await use("list_files", depth=1))["entries"]] == ["a", "b.py", "link"]
    assert ".git/config" in [entry["path"] for entry in (await use("list_files", all=True))["entries"]]
    assert (await use("list_files", path="a", depth=1, limit=1))["truncated"]


async def test_refuses(root, refused):
    (root / "out").symlink_to("..")
    (root / "file").touch()
    assert await refused("list_files", path="..") == "outside_root"
    assert await refused("list_files", path="out") == "outside_root"
    assert await refused("list_files", path="file") == "not_found"
    assert await refused("list_files", path="nope") == "not_found"


async def test_names_that_are_not_text(root, use):
    (root / b"caf\xe9".decode("utf-8", "surrogateescape")).touch()
    assert [entry["path"] for entry in (await use("list_files"))["entries"]] == ["caf\ufffd"]
