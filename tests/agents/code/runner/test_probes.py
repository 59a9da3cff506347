import ast
import builtins
import sys
import textwrap
from importlib.machinery import SourceFileLoader

import pytest

from clew.agents.code.runner import probes
from clew.agents.code.runner.tracer import Tracer

CODE = '''\
"""A module."""
import contextlib

TABLE = {"twice": lambda n: n * 2}


def outer(n):
    """Its words."""
    global SEEN
    SEEN = n

    def inner(m):
        return m + 1

    if n > 3:
        return inner(
            n,
        )
    elif n == 3:
        with contextlib.suppress(ZeroDivisionError):
            return 1 / (n - 3)
    try:
        for i in range(n):
            if i:
                break
        else:
            return -1
        while n:
            n -= 1
        return [x for x in range(i)][5]
    except IndexError:
        pass
    finally:
        SEEN = None
    return TABLE["twice"](n)


@contextlib.contextmanager
def managed():
    yield


async def later(n):
    async with Waiting():
        return n


class Waiting:
    async def __aenter__(self): return self
    async def __aexit__(self, *_): return None


def matched(n):
    match n:
        case 0:
            return "none"
        case _:
            return "some"
'''


@pytest.fixture
def modules(tmp_path, monkeypatch):
    """The module as it is, and with probes on every line; with the tracer that says what is right."""
    monkeypatch.setattr(SourceFileLoader, "source_to_code", SourceFileLoader.source_to_code)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "plain.py").write_text(CODE)
    (tmp_path / "probed.py").write_text(CODE)
    tracer = Tracer(str(tmp_path))
    every = list(range(1, CODE.count("\n") + 2))
    made = probes.Probes(tracer.relative, {"probed.py": every})
    made.start()
    try:
        yield __import__("plain"), __import__("probed"), tracer, made
    finally:
        delattr(builtins, probes._HIT)
        for name in ("plain", "probed"):
            sys.modules.pop(name, None)


def finished(coroutine):
    """What a coroutine that awaits nothing returns."""
    with pytest.raises(StopIteration) as ended:
        coroutine.send(None)
    return ended.value.value


CALLS = {
    **{f"outer({n})": lambda m, n=n: m.outer(n) for n in (0, 1, 2, 3, 4)},
    "lambda": lambda m: m.TABLE["twice"](4),
    "match": lambda m: (m.matched(0), m.matched(1)),
    "with": lambda m: m.managed().__enter__(),
    "async": lambda m: finished(m.later(3)),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=list(CALLS))
def test_what_runs_and_what_is_seen_is_as_without(modules, call):
    plain, probed, tracer, made = modules
    made.take()
    before = sys.gettrace()
    tracer.start()
    try:
        expected = call(plain)
    finally:
        tracer.stop()
        sys.settrace(before)
    assert str(call(probed)) == str(expected).replace("plain", "probed")
    traced, seen = tracer.take()["plain.py"], made.take()["probed.py"]
    heads = [s for s in ast.walk(ast.parse(CODE)) if isinstance(s, ast.stmt)]
    starts = {line for line in traced if any(s.lineno == line for s in heads)}
    assert starts <= seen
    assert {s for s in seen if s in {h.lineno for h in heads}} <= traced | {31}


def test_docstrings_and_places_stay(modules):
    _, probed, _, _ = modules
    assert probed.outer.__doc__ == "Its words."
    with pytest.raises(TypeError) as caught:
        probed.outer("text")
    assert caught.traceback[-1].lineno + 1 == CODE[: CODE.index("if n > 3")].count("\n") + 1


def test_only_wanted_lines_and_files_are_touched(modules, tmp_path):
    _, _, tracer, _ = modules
    made = probes.Probes(tracer.relative, {"probed.py": [7, 15]})
    tree = made._probed(ast.parse(CODE), "probed.py", frozenset([7, 15]))
    assert ast.unparse(tree).count(probes._HIT) == 2
    assert textwrap.dedent(ast.unparse(tree)).startswith('"""A module."""')
