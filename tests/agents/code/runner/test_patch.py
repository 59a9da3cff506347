import importlib
import sys
from importlib.machinery import SourceFileLoader

import pytest

from clew.agents.code.runner.patch import CannotPatch, LiveFunctions, edited, exchange, import_from

CODE = b"""\
def plain(a):
    return a + 1

class C:
    def method(self):
        return [x for x in (1, 2)]

def closing(n):
    def inner():
        return n
    return inner
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "patched_code.py").write_bytes(CODE)
    monkeypatch.syspath_prepend(str(tmp_path))
    loaded = importlib.import_module("patched_code")
    yield loaded
    sys.modules.pop("patched_code")


def test_edited():
    assert edited(b"abc", 1, 2, "é") == "aéc".encode()


def test_live_functions_take_the_new_code(module):
    taken = module.plain
    source = CODE.replace(b"a + 1", b"a + 2").replace(b"(1, 2)", b"(3,)")
    live = LiveFunctions()
    exchange(live, module.__file__, source, (1, "plain"))
    exchange(live, module.__file__, source, (5, "method"))
    assert taken(1) == 3
    assert module.C().method() == [3]


@pytest.mark.parametrize("key", [(1, "gone"), (99, "plain")])
def test_what_is_not_there_is_refused(module, key):
    with pytest.raises(CannotPatch):
        exchange(LiveFunctions(), module.__file__, CODE, key)


def test_another_closure_is_refused(module):
    inner = module.closing(1)
    source = CODE.replace(b"        return n\n", b"        return 1\n")
    with pytest.raises(CannotPatch):
        exchange(LiveFunctions(), module.__file__, source, (9, "inner"))
    assert inner() == 1


def test_the_import_system_reads_the_candidate(tmp_path, monkeypatch):
    monkeypatch.setattr(SourceFileLoader, "get_code", SourceFileLoader.get_code)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("cold_one", "cold_two"):
        (tmp_path / f"{name}.py").write_text("x = 1\n")
    import_from(str((tmp_path / "cold_one.py").resolve()), b"x = 2\n")
    assert importlib.import_module("cold_one").x == 2
    assert importlib.import_module("cold_two").x == 1


def test_a_candidate_that_does_not_parse_is_told():
    with pytest.raises(SyntaxError):
        import_from("/x.py", b"def (")
