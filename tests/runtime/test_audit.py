"""Handlers that touch the world without saying so are named, once each (design §5)."""

import os
import subprocess
import sys

import pytest

from clew.runtime.audit import _hook, unwatched, watched

DOES = {
    "opens a file for writing": "open(input, 'w').close()",
    "starts a process": "__import__('subprocess').run(['true'], check=True)",
    "removes a file": "open_quietly(input); __import__('os').remove(input)",
    "renames a file": "open_quietly(input); __import__('os').rename(input, input + '2')",
    "opens a socket": "connect()",
}
PRELUDE = """
import socket, subprocess
def open_quietly(path):
    from clew.runtime.audit import unwatched
    with unwatched():
        open(path, 'w').close()
def connect():
    with socket.socket() as s:
        try:
            s.connect(('127.0.0.1', 1))
        except OSError:
            pass
async def a(input, ctx):
    {what}
def b(input, ctx):
    {what}
"""


@pytest.mark.parametrize("what", DOES)
@pytest.mark.parametrize("handler", ["a", "b"])
async def test_an_undeclared_handler_is_named(solo, tmp_path, caplog, what, handler):
    engine = solo(PRELUDE.format(what=DOES[what]), handler=handler)
    assert (await engine.run(str(tmp_path / "file"))).status == "success"
    named = [r.getMessage() for r in caplog.records if r.name == "clew.audit"]
    assert [m for m in named if what in m] == [
        f"node 'a' {what} outside ctx: a crash may repeat it. Use ctx.effect or ctx.call, or declare effects: external"
    ]


async def test_it_is_named_once(solo, tmp_path, caplog):
    engine = solo(PRELUDE.format(what=DOES["opens a file for writing"]))
    for _ in range(3):
        await engine.run(str(tmp_path / "file"))
    assert len([r for r in caplog.records if r.name == "clew.audit"]) == 1


@pytest.mark.parametrize("declared", ["effects: external", "ctx.effect"])
async def test_what_is_declared_is_not_named(solo, tmp_path, caplog, declared):
    if declared == "ctx.effect":
        engine = solo("async def a(input, ctx):\n    await ctx.effect('w', lambda: open(input, 'w').close())\n")
    else:
        engine = solo(PRELUDE.format(what=DOES["opens a file for writing"]), effects="external")
    assert (await engine.run(str(tmp_path / "file"))).status == "success"
    assert [r for r in caplog.records if r.name == "clew.audit"] == []


def test_reading_is_no_matter(tmp_path, caplog):
    (tmp_path / "f").write_text("x")
    with watched("n", declared=False):
        (tmp_path / "f").read_text()
        os.close(os.open(tmp_path / "f", os.O_RDONLY))
    assert caplog.records == []


def test_compiled_files_of_imports_are_no_matter(tmp_path, caplog):
    with watched("n", declared=False):
        (tmp_path / "m.pyc").write_bytes(b"")
    assert caplog.records == []


def test_nothing_is_named_outside_a_handler(tmp_path, caplog):
    with watched("n", declared=False), unwatched():
        (tmp_path / "f").write_text("x")
    (tmp_path / "f").write_text("x")
    subprocess.run([sys.executable, "-c", ""], check=True)
    assert caplog.records == []


@pytest.mark.parametrize("event", ["socket.connect", "subprocess.Popen", "os.system", "os.remove", "os.rename"])
def test_the_hook_by_itself(caplog, event):
    """The interpreter does not trace audit hooks: here it is called as a function."""
    with watched("n", declared=False):
        _hook(event, ("x",))
        _hook("import", ("x",))
    assert [r.args[0] for r in caplog.records if r.name == "clew.audit"] == ["n"]


@pytest.mark.parametrize(
    ("path", "flags", "named"),
    [
        ("x", os.O_RDONLY, 0),
        ("x", None, 0),
        ("x", os.O_WRONLY, 1),
        ("x", os.O_RDWR, 1),
        ("x", os.O_CREAT, 1),
        ("x.pyc", os.O_WRONLY, 0),
    ],
)
def test_the_hook_sees_opens_for_writing(caplog, path, flags, named):
    _hook("open", (path, "r", flags))
    with watched("n", declared=False):
        _hook("open", (path, "r", flags))
    assert len([r for r in caplog.records if r.name == "clew.audit"]) == named
