import ast

from clew.agents.code.context import Context
from clew.agents.code.kinds import MAPPING, NUMBER, SEQUENCE, SET, TEXT, TRUTH, call_name
from clew.agents.code.source import FUNCTIONS, Source

CODE = """
LIMIT = 5

def helper(a, b):
    return a

class Thing:
    def grow(self, by):
        self.size = self.base + by
        return self.size

def search(graph, start, text):
    seen = set()
    queue = [start]
    costs = {}
    count = 0
    for i, node in enumerate(queue):
        if node in seen or count < 3:
            continue
        count += len(text.strip())
        costs[node] = node.cost

    def inner():
        return graph
    return inner
"""


def context(name: str) -> Context:
    source = Source("m.py", CODE.encode())
    function = next(n for n in ast.walk(source.tree) if isinstance(n, FUNCTIONS) and n.name == name)
    return Context(source, function)


def test_names_in_scope_parameters_first():
    assert context("search").names == ["graph", "start", "text", "seen", "queue", "costs", "count", "i", "node"]
    assert context("inner").names[:3] == ["graph", "start", "text"]


def test_kinds_by_use():
    kinds = context("search").kinds
    assert NUMBER in kinds["count"]
    assert NUMBER in kinds["i"]
    assert SEQUENCE in kinds["queue"]
    assert SET in kinds["seen"]
    assert MAPPING in kinds["costs"]
    assert TEXT in kinds["text"]
    assert "graph" not in kinds


def test_what_else_is_in_reach():
    search = context("search")
    assert search.module_names == ["LIMIT"]
    assert search.functions == {"helper": 2, "search": 3, "inner": 0}
    assert context("grow").methods == {"grow": 1}
    assert context("grow").attributes["self"] == ["size", "base"]
    assert search.paths == ["node.cost"]
    assert search.conditions == ["node in seen or count < 3", "node in seen", "count < 3"]
    assert search.integers == [0, 3]


def test_likeness_of_names():
    search = context("search")
    assert search.alike("count", "i") == 1.0
    assert search.alike("count", "graph") == 0.6
    assert search.alike("count", "seen") < search.alike("queue", "seen") < 0.6


def test_generators_and_calls():
    assert not context("search").is_generator
    assert call_name(ast.parse("a.b(c)", mode="eval").body) == "b"
    assert call_name(ast.parse("a.b", mode="eval").body) == ""


def test_the_default_of_a_parameter_tells_its_kind():
    source = Source("m.py", b"def f(a, typed=False, *, size=3, other):\n    return g(typed)\n")
    context = Context(source, source.tree.body[0])
    assert context.kinds["typed"] == {TRUTH}
    assert context.kinds["size"] == {NUMBER}
    assert context.may_be(source.tree.body[0].body[0].value.args[0], NUMBER) < 0.5


def test_functions_that_answer_yes_or_no():
    code = b"def is_open(a):\n    return a\n\ndef other(a):\n    return a == 1\n\ndef none(a):\n    return a\n"
    source = Source("m.py", code)
    assert [Context(source, function).truthful for function in source.tree.body] == [True, True, False]
