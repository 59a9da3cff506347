"""What the failing tests say of the kind of fault, and what the code itself shows: it raises priors and rules nothing out."""

import ast
import re
from collections.abc import Iterable, Sequence

import msgspec

from clew.agents.code.source import Mutation, Source

_CONVERTED = frozenset({"call missing", "call too many", "attribute missing", "attribute too many", "wrong name"})
_ARGUMENTS = frozenset({"argument missing", "argument dropped", "arguments swapped"})
_VALUES = frozenset({"return", "return missing"})
_FIRST = frozenset({"initialisation missing", "statement copied", "wrong name"})
_TELLING: tuple[tuple[re.Pattern[str], frozenset[str], float], ...] = tuple(
    (re.compile(pattern), kinds, times)
    for pattern, kinds, times in (
        (r"TypeError: bad operand type for ", frozenset({"operator", "call too many"}), 4.0),
        (
            r"TypeError: .*(missing \d+ required|expected .*argument|takes .* argument|unexpected keyword)",
            _ARGUMENTS,
            4.0,
        ),
        (r"TypeError: .*(not an iterator|not iterable|not subscriptable|has no len)", _CONVERTED, 3.0),
        (r"TypeError: .*(concatenate|must be|not callable)", _CONVERTED, 3.0),
        (
            r"TypeError: .*(unhashable|not supported|interpreted|sequence item|indices must|unsupported)",
            _CONVERTED,
            2.0,
        ),
        (r"NameError|UnboundLocalError", _FIRST, 4.0),
        (r"AttributeError", frozenset({"wrong attribute", "attribute missing", "wrong name", "call missing"}), 2.0),
        (r"IndexError", frozenset({"off by one", "constant", "slice", "condition missing", "guard missing"}), 1.5),
        (r"KeyError", frozenset({"default missing", "exception", "guard missing", "wrong name"}), 1.5),
    )
)
_SYMBOL = re.compile(r"TypeError: unsupported operand type\(s\) for (\S+?): ")
_EXACT = 10.0
_ODD = 3.0


class Told(msgspec.Struct, frozen=True):
    """How a failing test ended, and the innermost line of the code under repair in its traceback."""

    message: str
    file: str
    line: int


def raised(prior: float, times: float) -> float:
    """The chance that at least one of so many independent chances comes true: small priors grow in proportion."""
    return 1 - (1 - prior) ** times


class Signs:
    """What there is to tell of one statement."""

    def __init__(self, statement: ast.stmt, source: Source, told: Iterable[Told]) -> None:
        lines = source.lines_of(statement)
        nothing_here = idle(statement, source)
        anywhere = nothing_here and isinstance(statement, ast.Pass)
        here = [one.message for one in told if one.file == source.path and (anywhere or one.line in lines)]
        self._data = source.data
        self._times: dict[str, float] = {}
        for message in here:
            for pattern, kinds, times in _TELLING:
                if pattern.match(message):
                    self._times.update({kind: max(times, self._times.get(kind, 1.0)) for kind in kinds})
        self._symbols = {found[1].encode() for message in here if (found := _SYMBOL.match(message))}
        if any("'generator' object" in one.message for one in told) and _generates(statement, source):
            self._times["call missing"] = 3.0
        nothing = any("NoneType" in one.message or " None" in one.message for one in told)
        if isinstance(statement, ast.Assign) and nothing_here:
            for kind in ("call missing", "operator"):
                self._times[kind] = 3.0 * self._times.get(kind, 1.0)
        bare = isinstance(statement, ast.Return) and statement.value is None
        self._odd = (
            (_ODD if nothing_here else 1.0)
            * (_ODD if bare and nothing else 1.0)
            * (_ODD if bare and _elsewhere_a_value(statement, source) else 1.0)
        )

    def prior(self, mutation: Mutation) -> float:
        times = self._times.get(mutation.operator, 1.0) * self._odd
        if mutation.operator == "operator" and self._data[mutation.start : mutation.end] in self._symbols:
            times *= _EXACT
        return mutation.prior if times == 1.0 else raised(mutation.prior, times)


def idle(statement: ast.stmt, source: Source) -> bool:
    """Whether a statement does nothing as it stands: ``x = x``, a ``pass`` beside other statements or in a loop."""
    if isinstance(statement, ast.Assign):
        return len(statement.targets) == 1 and source.text(statement.targets[0]) == source.text(statement.value)
    if not isinstance(statement, ast.Pass):
        return False
    return len(block(statement, source)) > 1 or isinstance(source.parents[statement], (ast.For, ast.While))


def _generates(statement: ast.stmt, source: Source) -> bool:
    return any(isinstance(node, ast.GeneratorExp) for node in source.expressions(statement))


def _elsewhere_a_value(statement: ast.stmt, source: Source) -> bool:
    """Whether the function of a bare ``return`` returns a value in another place."""
    function = source.function_of(statement)
    inside = ast.walk(function) if function else ()
    return any(isinstance(n, ast.Return) and n.value is not None and source.function_of(n) is function for n in inside)


def block(statement: ast.stmt, source: Source) -> Sequence[ast.stmt]:
    """The list of statements that this one stands in."""
    parent = source.parents[statement]
    for field in ("body", "orelse", "finalbody"):
        found: list[ast.stmt] = getattr(parent, field, [])
        if statement in found:
            return found
    return [statement]
