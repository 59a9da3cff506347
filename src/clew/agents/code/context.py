"""What is known around a statement: names in scope with their likely kinds, conditions, constants, attributes.

Kinds are guessed from use, never from types: they only decide what is tried first.
"""

import ast
from collections.abc import Iterator
from functools import cached_property

from clew.agents.code.kinds import CONTAINERS, NUMBER, SEQUENCE, TRUTH, evidence, kind_of_value
from clew.agents.code.source import FUNCTIONS, Source

_ASKING = ("__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__", "__contains__", "__bool__")


class Context:
    """The surroundings of one function, or of the module's own level."""

    def __init__(self, source: Source, function: ast.FunctionDef | ast.AsyncFunctionDef | None) -> None:
        self.source = source
        self.function = function
        self.root: ast.AST = function or source.tree

    @cached_property
    def _nodes(self) -> list[ast.AST]:
        return list(ast.walk(self.root))

    @cached_property
    def parameters(self) -> list[str]:
        return _parameters(self.function) if self.function else []

    @cached_property
    def own(self) -> list[str]:
        """Variables of this function, parameters first, in order of appearance; at the module's own level, its data."""
        return list(dict.fromkeys([*self.parameters, *_bound(self._own_nodes())]))

    @cached_property
    def names(self) -> list[str]:
        """``own``, then those of the functions around it."""
        found = dict.fromkeys(self.own)
        if self.function is not None:
            for above in self.source.ancestors(self.function):
                if isinstance(above, FUNCTIONS):
                    found.update(dict.fromkeys(_parameters(above)))
                    found.update(dict.fromkeys(_bound(ast.walk(above))))
        nested = {n.name for n in self._nodes if isinstance(n, FUNCTIONS)}
        return [name for name in found if name not in nested and name != "_"]

    @cached_property
    def nested(self) -> list[str]:
        """Functions that this function defines."""
        return [n.name for n in self._nodes if isinstance(n, FUNCTIONS) and n is not self.root]

    @cached_property
    def unread(self) -> list[str]:
        """Variables of this function that it never reads: something is likely to be missing where one fits."""
        read = {n.id for n in self._nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
        own = self.own if self.function else []
        return [name for name in own if name not in read and not name.startswith("_")]

    @cached_property
    def module_names(self) -> list[str]:
        """Data (not functions, classes or modules) that the module assigns at its own level."""
        return list(dict.fromkeys(_bound(iter(self.source.tree.body), deep=False)))

    @cached_property
    def functions(self) -> dict[str, int]:
        """Functions of the module and nested ones in reach, with their number of positional parameters."""
        reach: list[ast.AST] = [*self.source.tree.body, *ast.walk(self.root)]
        if self.function is not None:
            for above in self.source.ancestors(self.function):
                if isinstance(above, FUNCTIONS):
                    reach.extend(above.body)
        return {
            n.name: len(_parameters(n)) for n in reach if isinstance(n, FUNCTIONS) and not _is_method(n, self.source)
        }

    @cached_property
    def methods(self) -> dict[str, int]:
        """Methods of the class around this function, with their number of parameters besides the first."""
        if self.function is None:
            return {}
        around = next((n for n in self.source.ancestors(self.function) if isinstance(n, ast.ClassDef)), None)
        if around is None:
            return {}
        return {n.name: max(0, len(_parameters(n)) - 1) for n in around.body if isinstance(n, FUNCTIONS)}

    @cached_property
    def unbound(self) -> list[str]:
        """Names that this function reads and that nothing binds but, perhaps, an assignment that adds to them."""
        if self.function is None:
            return []
        adding = {n.target for n in self._nodes if isinstance(n, ast.AugAssign)}
        names = [n for n in self._nodes if isinstance(n, ast.Name)]
        stored = {n.id for n in names if not isinstance(n.ctx, ast.Load) and n not in adding}
        used = dict.fromkeys(n.id for n in names if isinstance(n.ctx, ast.Load) or n in adding)
        added = {n.id for n in names if n in adding}
        around = [None, *(n for n in self.source.ancestors(self.function) if isinstance(n, FUNCTIONS))]
        elsewhere = self.source.known.union(*(self.source.bound.get(function, set()) for function in around))
        known = stored | elsewhere | {a.arg for a in self._nodes if isinstance(a, ast.arg)}
        outside = {n for node in self._nodes if isinstance(node, (ast.Global, ast.Nonlocal)) for n in node.names}
        found = [name for name in used if name not in known or (name in added and name not in stored | outside)]
        return [name for name in found if name not in set(self.parameters) and name not in outside]

    @cached_property
    def attributes(self) -> dict[str, list[str]]:
        """Attributes seen in the class around and the whole file, by the text before the dot; calls apart under ``text()``."""
        found: dict[str, dict[str, None]] = {}
        around = [n for n in self.source.ancestors(self.root) if isinstance(n, ast.ClassDef)] if self.function else []
        for node in [*(n for top in around for n in ast.walk(top)), *self.source.nodes]:
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                parent = self.source.parents.get(node)
                called = isinstance(parent, ast.Call) and parent.func is node
                found.setdefault(node.value.id + ("()" if called else ""), {}).setdefault(node.attr)
        return {base: list(names) for base, names in found.items()}

    @cached_property
    def paths(self) -> list[str]:
        """``name.attribute`` expressions that this function reads, calls aside, in order of appearance."""
        found: dict[str, None] = {}
        for node in self._nodes:
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                parent = self.source.parents.get(node)
                if not (isinstance(parent, ast.Call) and parent.func is node):
                    found.setdefault(f"{node.value.id}.{node.attr}")
        return list(found)

    @cached_property
    def conditions(self) -> list[str]:
        """Texts of the comparisons and tests of this function, in order, each once."""
        tests: list[ast.expr] = []
        for node in self._nodes:
            if isinstance(node, ast.Compare):
                tests.append(node)
            elif isinstance(node, (ast.If, ast.While, ast.IfExp)) and not isinstance(node.test, ast.Constant):
                tests.append(node.test)
        tests.sort(key=lambda n: (n.lineno, n.col_offset))
        return list(dict.fromkeys(self.source.text(test) for test in tests))

    @cached_property
    def returns(self) -> list[str]:
        """Texts of the values that this function returns."""
        nodes = [n for n in self._own_nodes() if isinstance(n, ast.Return) and n.value is not None]
        return list(dict.fromkeys(self.source.text(n.value) for n in nodes if n.value is not None))

    @cached_property
    def truthful(self) -> bool:
        """Whether the function answers yes or no, by its name or by what it returns elsewhere."""
        if self.function is None:
            return False
        if self.function.name in _ASKING or self.function.name.lstrip("_").startswith(
            ("is_", "has_", "can_", "should_")
        ):
            return True
        values = [n.value for n in self._own_nodes() if isinstance(n, ast.Return) and n.value is not None]
        return any(isinstance(v, ast.Constant) and isinstance(v.value, bool) for v in values) or any(
            isinstance(v, ast.Compare) for v in values
        )

    @cached_property
    def integers(self) -> list[int]:
        """Integer constants of this function, in order of appearance."""
        found = [n for n in self._nodes if isinstance(n, ast.Constant) and type(n.value) is int]
        return list(dict.fromkeys(int(str(n.value)) for n in found))

    @cached_property
    def strings(self) -> list[str]:
        """Short string constants of the whole file."""
        found = [
            n.value for n in ast.walk(self.source.tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)
        ]
        return list(dict.fromkeys(text for text in found if len(text) <= 20 and "\n" not in text))[:60]

    @cached_property
    def is_generator(self) -> bool:
        return any(isinstance(n, (ast.Yield, ast.YieldFrom)) for n in self._own_nodes())

    @cached_property
    def kinds(self) -> dict[str, set[str]]:
        """Likely kinds of each name, by its uses and assignments."""
        found: dict[str, set[str]] = {}
        around: list[ast.AST] = [self.root]
        if self.function is not None:
            around.extend(n for n in self.source.ancestors(self.function) if isinstance(n, (*FUNCTIONS, ast.Module)))
        for node in ast.walk(around[-1]):
            for name, kind in evidence(node):
                found.setdefault(name, set()).add(kind)
            for name, kind in _defaults(node):
                found.setdefault(name, set()).add(kind)
        return found

    def kind_of(self, node: ast.expr) -> set[str]:
        """Likely kinds of an expression; empty when nothing is known."""
        if isinstance(node, ast.Name):
            return self.kinds.get(node.id, set())
        kind = kind_of_value(node)
        if kind:
            return {kind}
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice):
            return {SEQUENCE}
        if isinstance(node, ast.BinOp):
            return self.kind_of(node.left) | self.kind_of(node.right)
        if isinstance(node, ast.UnaryOp):
            return {TRUTH} if isinstance(node.op, ast.Not) else {NUMBER}
        return set()

    def may_be(self, node: ast.expr, kind: str) -> float:
        """1 likely, 0.5 unknown, 0.15 unlikely."""
        kinds = self.kind_of(node)
        if not kinds:
            return 0.5
        return 1.0 if kind in kinds else 0.15

    def of_kind(self, kind: str) -> list[str]:
        """Names in scope that are likely, then those that may be, of ``kind``."""
        likely = [n for n in self.names if kind in self.kinds.get(n, set())]
        return likely + [n for n in self.names if not self.kinds.get(n)]

    def alike(self, one: str, other: str) -> float:
        """How well ``other`` fits where ``one`` stands."""
        a, b = self.kinds.get(one, set()), self.kinds.get(other, set())
        if not a or not b:
            return 0.6
        if a & b:
            return 1.0
        return 0.3 if a & CONTAINERS and b & CONTAINERS else 0.15

    def _own_nodes(self) -> Iterator[ast.AST]:
        """Nodes of this function but not of functions inside it."""
        waiting: list[ast.AST] = list(ast.iter_child_nodes(self.root))
        while waiting:
            node = waiting.pop(0)
            if isinstance(node, (*FUNCTIONS, ast.ClassDef, ast.Lambda)):
                continue
            yield node
            waiting = [*ast.iter_child_nodes(node), *waiting]


def _is_method(node: ast.AST, source: Source) -> bool:
    return isinstance(source.parents.get(node), ast.ClassDef)


def _parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return [argument.arg for argument in every]


def _defaults(node: ast.AST) -> Iterator[tuple[str, str]]:
    """What the default of a parameter says of its kind."""
    if isinstance(node, FUNCTIONS):
        places = [*node.args.posonlyargs, *node.args.args]
        pairs = [*zip(reversed(places), reversed(node.args.defaults), strict=False)]
        named = [(a, d) for a, d in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True) if d is not None]
        yield from ((a.arg, kind) for a, value in [*pairs, *named] if (kind := kind_of_value(value)))


def _bound(nodes: Iterator[ast.AST], *, deep: bool = True) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif not deep and isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (target.id for target in targets if isinstance(target, ast.Name))
