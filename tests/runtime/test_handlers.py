import sys

import pytest

from clew.core.errors import Failure
from clew.runtime import handlers as module
from clew.runtime.handlers import is_async


@pytest.fixture(autouse=True)
def path(monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))


class Handlers(module.Handlers):
    """``call`` for short."""

    def call(self, reference, *args):
        return self.get(reference)[0](*args)


def project(root, **files):
    root.mkdir(exist_ok=True)
    for name, text in files.items():
        (root / f"{name}.py").write_text(text)
    return Handlers(root)


def test_a_module_is_executed_once(tmp_path):
    handlers = project(
        tmp_path,
        h="import itertools\nn = itertools.count()\nnext(n)\ndef f(i, c): return next(n)\ndef g(i, c): return next(n)\n",
    )
    assert handlers.get("h:f") is handlers.get("h:f")
    assert (handlers.call("h:f", 0, 0), handlers.call("h:g", 0, 0)) == (1, 2)


def test_two_projects_may_have_modules_of_one_name(tmp_path):
    one, two = (
        project(tmp_path / "1", h="def f(i, c): return 1\n"),
        project(tmp_path / "2", h="def f(i, c): return 2\n"),
    )
    assert (one.call("h:f", 0, 0), two.call("h:f", 0, 0)) == (1, 2)


def test_siblings_can_be_imported(tmp_path):
    handlers = project(
        tmp_path, h="import sibling_of_h\nf = sibling_of_h.g\n", sibling_of_h="def g(i, c): return 'sibling'\n"
    )
    assert handlers.call("h:f", 0, 0) == "sibling"


def test_packages_and_dotted_names(tmp_path):
    package = tmp_path / "pack"
    package.mkdir()
    (package / "__init__.py").write_text("def top(i, c): return 'top'\n")
    (package / "inner.py").write_text("def f(i, c): return 'inner'\n")
    handlers = Handlers(tmp_path)
    assert handlers.call("pack:top", 0, 0) == "top"
    assert handlers.call("pack.inner:f", 0, 0) == "inner"


def test_installed_modules_are_found_behind_the_projects_own(tmp_path):
    assert Handlers(tmp_path).call("json:dumps", [1]) == "[1]"
    assert project(tmp_path, json="def dumps(i, c): return 'mine'\n").call("json:dumps", 0, 0) == "mine"


@pytest.mark.parametrize(
    ("source", "reference", "said"),
    [
        ("x = 1\n", "h:f", "'h' has no function 'f'"),
        ("f = 3\n", "h:f", "no function 'f'"),
        ("1 / 0\n", "h:f", "ZeroDivisionError"),
        ("import no_such_module_at_all\n", "h:f", "ModuleNotFoundError"),
        ("def (\n", "h:f", "SyntaxError"),
        ("", "no_such_module_at_all:f", "ModuleNotFoundError"),
    ],
)
def test_what_cannot_be_loaded_says_where_and_why(tmp_path, source, reference, said):
    with pytest.raises(Failure, match=said) as caught:
        project(tmp_path, h=source).get(reference)
    assert caught.value.code == "handler"
    assert reference in str(caught.value)


def test_a_module_that_failed_is_tried_anew(tmp_path):
    handlers = project(tmp_path, h="1 / 0\n")
    for _ in range(2):
        with pytest.raises(Failure, match="ZeroDivisionError"):
            handlers.get("h:f")


def test_what_is_asynchronous(tmp_path):
    class Callable:
        async def __call__(self): ...

    async def function(): ...

    assert is_async(function)
    assert is_async(Callable())
    assert not is_async(lambda: 1)
    handlers = project(tmp_path, h="async def a(i, c): ...\ndef b(i, c): ...\n")
    assert (handlers.get("h:a")[1], handlers.get("h:b")[1]) == (True, False)


def test_projects_in_one_process_have_modules_of_their_own(tmp_path):
    for name in ("one", "two"):
        project = tmp_path / name
        (project / "pack").mkdir(parents=True)
        (project / "util.py").write_text(f"NAME = {name!r}\n")
        (project / "pack" / "__init__.py").write_text("from . import inner\n")
        (project / "pack" / "inner.py").write_text("import json\nfrom util import NAME\n")
        (project / "handlers.py").write_text(
            "import util, pack.inner\nfrom pack import inner as again\n\n\n"
            "async def work(value, ctx):\n    import util as late\n"
            "    return [util.NAME, pack.inner.NAME, again.NAME, late.NAME, pack.inner.json.dumps(1)]\n"
        )
    for name in ("one", "two"):
        work, asynchronous = Handlers(tmp_path / name).get("handlers:work")
        assert asynchronous
        with pytest.raises(StopIteration) as ended:
            work(None, None).send(None)
        assert ended.value.value == [name] * 4 + ["1"]


def test_the_standard_library_is_not_shadowed(tmp_path):
    (tmp_path / "json.py").write_text("raise RuntimeError\n")
    (tmp_path / "handlers.py").write_text("import json\n\n\ndef work(value, ctx):\n    return json.dumps(value)\n")
    assert Handlers(tmp_path).get("handlers:work")[0](1, None) == "1"
