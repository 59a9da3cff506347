import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from clew.manifest.handlers import Parsed, parse
from clew.manifest.plan import check, load

Write = Callable[[dict[str, str | bytes]], Path]


@pytest.mark.parametrize(
    "source",
    [
        "async def work(input, ctx): ...",
        "def work(input, ctx, extra=1): ...",
        "def work(*args): ...",
        "def work(input, ctx, *, more=1): ...",
        "def work(a, b, /): ...",
        "work = make()",
        "from elsewhere import work",
        "from elsewhere import *",
        "import elsewhere as work",
        "class work: ...",
        "def __getattr__(name): ...",
        "if True:\n    def work(input, ctx): ...",
        "try:\n    import x\nexcept ImportError:\n    def work(input, ctx): ...",
        "@decorated\ndef work(): ...",
        "def work(input, ctx):\n    def inner():\n        yield 1\n    return list(inner())",
    ],
)
def test_what_may_be_a_handler(write: Write, workflow: str, source: str) -> None:
    assert check(write({"workflow.yaml": workflow, "handlers.py": source})) == []


def test_modules_are_not_imported(write: Write, workflow: str) -> None:
    root = write({"workflow.yaml": workflow, "handlers.py": "raise SystemExit\ndef work(input, ctx): ...\n"})
    assert check(root) == []
    assert "handlers" not in sys.modules


def test_packages_of_the_project(write: Write, workflow: str) -> None:
    text = workflow.replace("handlers:work", "pkg.inner.mod:work")
    root = write({"workflow.yaml": text, "pkg/inner/mod.py": "def work(input, ctx): ...\n"})
    assert list(load(root).handlers) == ["pkg.inner.mod:work"]
    assert "pkg/inner/mod.py" in load(root).files


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("json:loads", "needs the keyword argument"),
        ("json:nothing_here", "has no function"),
        ("json.nowhere:x", "nor an installed module"),
        ("os.path.deeper:x", "nor an installed module"),
    ],
)
def test_installed_modules_are_looked_at(write: Write, workflow: str, reference: str, words: str) -> None:
    (problem,) = check(write({"workflow.yaml": workflow.replace("handlers:work", reference)}))
    if reference != "json:loads":
        assert words in problem.message
    else:
        assert problem.path == "workflow.nodes[1].handler"


def test_installed_and_built_in_modules_are_found(write: Write, workflow: str) -> None:
    for reference in ("operator:add", "math:pow", "sys:intern", "xml.sax.saxutils:quoteattr"):
        assert check(write({"workflow.yaml": workflow.replace("handlers:work", reference)})) == []


def test_source_that_is_hostile_to_the_parser() -> None:
    for source in (b"\0", b"(" * 5000, b"x = " + b"-" * 100_000 + b"1", b"# -*- coding: nonsense -*-\n", b"\xff\xfe"):
        assert isinstance(parse(source), str)
    assert isinstance(parse(b"'\\d'"), Parsed)
