"""Line coverage by probes put into the code as it is imported: nearly free, where a trace function slows down every call.

Only for lines that are known already to matter. What runs is the same code with a call before each statement that
begins on one of these lines; places in tracebacks stay as they are.
"""

import ast
import builtins
from importlib.machinery import SourceFileLoader
from typing import Any, Dict, FrozenSet, List, Set, Tuple

from .tracer import Relative

_HIT = "__clew_hit__"
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_SILENT = (ast.Global, ast.Nonlocal)


class Probes:
    """Collects which of ``lines`` (by path relative to the root) run between two calls of ``take``."""

    def __init__(self, relative: Relative, lines: Dict[str, List[int]]) -> None:
        self._relative = relative
        self._wanted = {path: frozenset(numbers) for path, numbers in lines.items()}
        self._places: List[Tuple[str, FrozenSet[int]]] = []
        self._seen: Set[int] = set()

    def start(self) -> None:
        """Probe whatever is imported from now on; done again, it changes nothing."""
        if hasattr(builtins, _HIT):
            return
        setattr(builtins, _HIT, self._seen.add)
        compiled = SourceFileLoader.source_to_code

        def source_to_code(loader: SourceFileLoader, data: Any, path: str, *rest: Any, **more: Any) -> Any:
            wanted = self._wanted.get(self._relative(str(path)) or "")
            if wanted and isinstance(data, (bytes, str)):
                data = self._probed(ast.parse(data, path), self._relative(str(path)) or "", wanted)
            return compiled(loader, data, path, *rest, **more)

        SourceFileLoader.source_to_code = source_to_code  # type: ignore[method-assign,assignment]

    def take(self) -> Dict[str, Set[int]]:
        """The lines that ran since the last call, by path."""
        found: Dict[str, Set[int]] = {}
        for number in list(self._seen):
            path, lines = self._places[number]
            found.setdefault(path, set()).update(lines)
        self._seen.clear()
        return found

    def _probed(self, tree: ast.Module, path: str, wanted: FrozenSet[int]) -> ast.Module:
        for node in list(ast.walk(tree)):
            if isinstance(node, _FUNCTIONS):
                first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
                if first in wanted:
                    node.body = self._block(node.body, path, wanted, docstring=True)
                    probe = self._probe(node.body[0], path, frozenset([first]))
                    node.body.insert(1 if _is_docstring(node.body[0]) else 0, probe)
            elif isinstance(node, ast.Lambda) and node.lineno in wanted:
                call = self._call(node.body, path, frozenset([node.lineno]))
                pair = ast.Tuple([call, node.body], ast.Load())
                second: Any = ast.parse("_[1]", mode="eval").body  # its form differs between versions of Python
                second.value = pair
                node.body = ast.copy_location(second, node.body)
        return ast.fix_missing_locations(tree)

    def _block(
        self, body: List[ast.stmt], path: str, wanted: FrozenSet[int], *, docstring: bool = False
    ) -> List[ast.stmt]:
        """A block with a probe before each statement; functions and classes inside have blocks of their own."""
        found: List[ast.stmt] = []
        for index, statement in enumerate(body):
            lines = _header(statement) & wanted
            skipped = isinstance(statement, _SILENT) or (docstring and index == 0 and _is_docstring(statement))
            if lines and not skipped:
                found.append(self._probe(statement, path, lines))
            found.append(statement)
            if isinstance(statement, (*_FUNCTIONS, ast.ClassDef)):
                continue
            for name in ("body", "orelse", "finalbody"):
                if getattr(statement, name, None):
                    setattr(statement, name, self._block(getattr(statement, name), path, wanted))
            for arm in [*getattr(statement, "handlers", ()), *getattr(statement, "cases", ())]:
                line = getattr(arm, "lineno", None) or arm.pattern.lineno
                inner = self._block(arm.body, path, wanted)
                probe = [self._probe(arm.body[0], path, frozenset([line]))] if line in wanted else []
                arm.body = [*probe, *inner]
        return found

    def _probe(self, place: ast.stmt, path: str, lines: FrozenSet[int]) -> ast.stmt:
        return ast.copy_location(ast.Expr(self._call(place, path, lines)), place)

    def _call(self, place: Any, path: str, lines: FrozenSet[int]) -> ast.Call:
        self._places.append((path, lines))
        name, number = ast.Name(_HIT, ast.Load()), ast.Constant(len(self._places) - 1)
        call = ast.Call(name, [number], [])
        for node in (call, name, number):
            ast.copy_location(node, place)
        return call


def _is_docstring(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _header(statement: ast.stmt) -> FrozenSet[int]:
    """Lines of a simple statement, or of a compound one up to its first block."""
    inner: Any = getattr(statement, "body", None) or getattr(statement, "cases", None)
    last = statement.end_lineno or statement.lineno
    if inner:
        first = inner[0]
        last = max(statement.lineno, (getattr(first, "lineno", None) or first.pattern.lineno) - 1)
    return frozenset(range(statement.lineno, last + 1))
