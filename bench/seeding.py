"""From operators to faulty programs: where they apply, the changed text, and the order in which faults are drawn."""

import ast
import copy
import random
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest

from seeded_faults import FAR, FUNCTIONS, OPERATORS, TWO, Pair, Scope


@dataclass(frozen=True)
class Edit:
    """Bytes ``start:end`` of ``path`` replaced by ``text``."""

    path: str
    line: int
    where: str
    operator: str
    start: int
    end: int
    text: bytes


@dataclass(frozen=True)
class Fault:
    operator: str
    edits: tuple[Edit, ...]

    @property
    def name(self) -> str:
        return " and ".join(f"{e.path}:{e.line} {e.where} [{e.operator[:3]}]" for e in self.edits)


class Module:
    """One file: its tree, which node stands where, and all the places where an operator applies."""

    def __init__(self, path: str, data: bytes) -> None:
        self.path, self.data = path, data
        self.tree = ast.parse(data)
        self.shape = ast.dump(self.tree)
        self.starts = [0]
        for line in data.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))
        self.places: dict[str, list[tuple[Scope, Pair]]] = defaultdict(list)
        self._visit(self.tree, Scope("module"), "")

    def _visit(self, node: ast.AST, scope: Scope, prefix: str) -> None:
        for child in ast.iter_child_nodes(node):
            if self._left_out(node, child):
                continue
            inner, name = scope, prefix
            if isinstance(child, ast.ClassDef):
                name = f"{prefix}{child.name}."
                inner = Scope(f"{prefix}{child.name}", [], _attributes(child))
            elif isinstance(child, FUNCTIONS):
                name = f"{prefix}{child.name}."
                variables = list(dict.fromkeys([*scope.variables, *_variables(child)]))
                inner = Scope(f"{prefix}{child.name}", variables, scope.attributes)
            for operator, apply in OPERATORS.items():
                self.places[operator].extend((inner, pair) for pair in apply(child, inner))
            self._visit(child, inner, name)

    @staticmethod
    def _left_out(node: ast.AST, child: ast.AST) -> bool:
        """Docstrings, annotations, imports, ``__all__``, texts with expressions in them (their places are not known)."""
        if isinstance(child, (ast.Import, ast.ImportFrom, ast.JoinedStr)):
            return True
        if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
            return True
        if isinstance(child, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in child.targets):
            return True
        if isinstance(node, ast.arguments) and isinstance(child, ast.Constant):
            return True  # a default, which has an operator of its own
        return child in (getattr(node, "annotation", None), getattr(node, "returns", None))

    def edit(self, operator: str, scope: Scope, pair: Pair) -> Edit | None:
        """The change as text; None where no text gives exactly the wanted tree (or where the tree stays as it is)."""
        target, replacement = pair
        start, end = self._span(target)
        wanted = self._dump_with(target, replacement)
        if wanted == self.shape:
            return None
        text = ast.unparse(ast.fix_missing_locations(copy.deepcopy(replacement)))
        lines = text.splitlines()
        if isinstance(target, ast.stmt):
            text = ("\n" + " " * target.col_offset).join(lines)
        for form in (text, f"({text})"):
            data = self.data[:start] + form.encode() + self.data[end:]
            try:
                if ast.dump(ast.parse(data)) == wanted:
                    return Edit(self.path, target.lineno, scope.name, operator, start, end, form.encode())
            except (SyntaxError, ValueError):
                continue
        return None

    def _span(self, node: ast.AST) -> tuple[int, int]:
        return self.starts[node.lineno - 1] + node.col_offset, self.starts[node.end_lineno - 1] + node.end_col_offset

    def _dump_with(self, target: ast.AST, replacement: ast.AST) -> str:
        return ast.dump(_thin(self.tree, target, replacement))


def _thin(node: ast.AST, target: ast.AST, replacement: ast.AST) -> ast.AST:
    """A copy of the tree down to the target."""
    if node is target:
        return replacement
    other = copy.copy(node)
    for name, value in ast.iter_fields(node):
        if isinstance(value, list):
            setattr(other, name, [_thin(v, target, replacement) if isinstance(v, ast.AST) else v for v in value])
        elif isinstance(value, ast.AST):
            setattr(other, name, _thin(value, target, replacement))
    return other


def _variables(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    arguments = function.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    stored = [n.id for n in ast.walk(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
    return list(dict.fromkeys([*(a.arg for a in named if a), *stored]))


def _attributes(owner: ast.ClassDef) -> list[str]:
    found = [
        n.attr
        for n in ast.walk(owner)
        if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name) and n.value.id == "self"
    ]
    return list(dict.fromkeys(found))


def draw(sources: Mapping[str, bytes], seed: int) -> dict[str, Iterator[Fault]]:
    """For each operator its faults in the order of a draw: first one function of each, then the next of each."""
    modules = [Module(path, sources[path]) for path in sorted(sources)]
    found = {name: _single(modules, name, random.Random(f"{seed} {name}")) for name in OPERATORS}
    found[TWO] = _double(modules, random.Random(f"{seed} {TWO}"), near=True)
    found[FAR] = _double(modules, random.Random(f"{seed} {FAR}"), near=False)
    return found


def _single(modules: list[Module], operator: str, chance: random.Random) -> Iterator[Fault]:
    for edit in _edits(modules, operator, chance):
        yield Fault(operator, (edit,))


def _edits(modules: list[Module], operator: str, chance: random.Random) -> Iterator[Edit]:
    by_function: dict[tuple[str, str], list[tuple[Module, Scope, Pair]]] = defaultdict(list)
    for module in modules:
        for scope, pair in module.places[operator]:
            by_function[module.path, scope.name].append((module, scope, pair))
    columns = list(by_function.values())
    chance.shuffle(columns)
    for column in columns:
        chance.shuffle(column)
    for row in zip_longest(*columns):
        for place in row:
            edit = place[0].edit(operator, place[1], place[2]) if place else None
            if edit:
                yield edit


def _double(modules: list[Module], chance: random.Random, *, near: bool) -> Iterator[Fault]:
    """Two faults of different operators: in one function on different lines, or in two functions."""
    names = list(OPERATORS)
    streams = {name: _edits(modules, name, random.Random(chance.random())) for name in names}
    seen: list[Edit] = []
    while True:
        chance.shuffle(names)
        fresh = [edit for name in names if (edit := next(streams[name], None))]
        if not fresh:
            return
        for edit in fresh:
            partners = [e for e in seen if _fits(e, edit, near)]
            if partners:
                partner = chance.choice(partners)
                seen.remove(partner)
                yield Fault(TWO if near else FAR, tuple(sorted((partner, edit), key=lambda e: (e.path, e.start))))
            else:
                seen.append(edit)


def _fits(one: Edit, other: Edit, near: bool) -> bool:
    same = (one.path, one.where) == (other.path, other.where)
    if one.operator == other.operator or same != near or one.where == "module":
        return False
    apart = (one.end < other.start or other.end < one.start) and one.line != other.line
    return one.path != other.path or apart


def changed(sources: Mapping[str, bytes], edits: tuple[Edit, ...]) -> dict[str, bytes]:
    """The files that a fault changes."""
    files: dict[str, bytes] = {}
    for edit in sorted(edits, key=lambda e: -e.start):
        data = files.get(edit.path, sources[edit.path])
        files[edit.path] = data[: edit.start] + edit.text + data[edit.end :]
    return files
