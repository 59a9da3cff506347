"""Task ``synthesis``: the smallest expression over given parameters that gives what the examples say.

Bottom-up enumeration by size; of expressions with the same values on all examples the first is kept (observational
equivalence: A. Albarghouthi, S. Gulwani, Z. Kincaid, "Recursive Program Synthesis", CAV 2013; A. Udupa et al., "TRANSIT", PLDI
2013). An expression may fail on some examples; two that are each right on some, and a test that tells these apart, make a
conditional (after R. Alur, A. Radhakrishna, A. Udupa, "Scaling Enumerative Program Synthesis via Divide and Conquer", TACAS 2017).
"""

import ast
import itertools
import time
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Set, Tuple

from .components import COMMUTE, COMPONENTS, INNER, Component, kind, small, takes

ITEM = "item"
_LARGEST = 9
_MOST = 1_500_000
_LONGEST_KEY = 20_000
_INNER_SIZE = 3
_INNER_MOST = 1_500
_ITERATED = 6


class _Failed:
    """The value of an expression where it raises."""

    def __repr__(self) -> str:
        return "<failed>"


FAILED = _Failed()


class Term(NamedTuple):
    text: str
    values: Tuple[Any, ...]
    kind: str
    size: int


class OutOfTime(Exception):
    """The time or the number of expressions is used up."""


def perform(spec: Dict[str, Any]) -> Dict[str, Any]:
    """``{expression, tried}``, or ``{reason, tried}``.

    ``spec``: ``parameters`` (names), ``rows`` (their values per example), ``wants`` and ``constants``, all of them literals as
    text; ``wall``: seconds.
    """
    rows = [[ast.literal_eval(text) for text in row] for row in spec["rows"]]
    wants = [ast.literal_eval(text) for text in spec["wants"]]
    constants = [ast.literal_eval(text) for text in spec["constants"]]
    bank = Bank(wants, time.monotonic() + spec["wall"])
    try:
        found = bank.search(spec["parameters"], rows, constants)
    except (OutOfTime, MemoryError):
        return {"reason": "the limit of the search was reached", "tried": bank.tried}
    if found is None:
        return {"reason": "no expression of the size that is searched", "tried": bank.tried}
    text, size = found
    distinct = {repr(pair) for pair in zip(rows, wants)}
    if size > 2 * len(distinct) + 2:  # almost anything can be said in so many words
        return {"reason": "what fits is too long for so few examples", "tried": bank.tried}
    return {"expression": text, "tried": bank.tried}


def same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and repr(one) == repr(other)


class Bank:
    """All distinct expressions found so far, by size; the smallest that is right is the answer."""

    def __init__(self, wants: Sequence[Any], due: float) -> None:
        self._wants = list(wants)
        self._goal = (1 << len(self._wants)) - 1
        self._due = due
        self._levels: List[List[Term]] = [[]]
        self._seen: Set[str] = set()
        self._right: Dict[int, Term] = {}
        """Examples on which an expression is right -> the smallest that is right on these."""
        self._tests: Dict[int, Term] = {}
        """Examples on which an expression is true, the same way."""
        self._best: Optional[Tuple[int, str]] = None
        self.tried = 0

    def search(
        self, parameters: Sequence[str], rows: Sequence[Sequence[Any]], constants: Sequence[Any]
    ) -> Optional[Tuple[str, int]]:
        """The expression and its size; None when there is none. Raises OutOfTime when nothing was found in time."""
        columns = list(zip(*rows)) if parameters else []
        leaves = [_term(name, values, 1) for name, values in zip(parameters, columns)]
        leaves += [_term(repr(value), (value,) * len(self._wants), 1) for value in constants]
        try:
            for size in range(1, _LARGEST + 1):
                if self._best is not None and self._best[0] <= size:
                    break
                level: List[Term] = []
                self._levels.append(level)
                for term in leaves if size == 1 else self._grown(size):
                    if self._new(term):
                        level.append(term)
                        self._note(term, parameters)
                if self._best is None or self._best[0] > size:
                    self._combined(size, level, parameters)
        except OutOfTime:
            if self._best is None:
                raise
        return self._best and (self._best[1], self._best[0])

    def _combined(self, size: int, level: Sequence[Term], parameters: Sequence[str]) -> None:
        """Comprehensions over what is new and small enough, and conditionals."""
        if 3 <= size <= 4:
            wanted = size - 2
            sequences = [
                t
                for t in self._levels[wanted]
                if t.kind == "l" or (wanted == 1 and t.kind == "s" and t.text in parameters)
            ]
            for term in self._comprehensions(sequences[:_ITERATED]):
                self._count()
                self._note(term, parameters)
        if size >= 2:
            self._conditional(parameters)

    def _new(self, term: Term) -> bool:
        """Whether nothing with the same values is known."""
        self._count()
        if all(value is FAILED for value in term.values):
            return False
        key = repr(term.values)
        if len(key) > _LONGEST_KEY or key in self._seen:
            return False
        self._seen.add(key)
        return True

    def _count(self) -> None:
        self.tried += 1
        if self.tried > _MOST or (self.tried % 64 == 0 and time.monotonic() > self._due):
            raise OutOfTime

    def _note(self, term: Term, parameters: Sequence[str]) -> None:
        """Remember where the expression is right, and where it is true."""
        right = sum(1 << i for i, (value, want) in enumerate(zip(term.values, self._wants)) if same(value, want))
        if right == self._goal:
            self._offer(term.size, term.text, parameters)
        known = self._right.get(right)
        if right and (known is None or term.size < known.size):
            self._right[right] = term
        if FAILED not in term.values:
            true = sum(1 << i for i, value in enumerate(term.values) if value)
            test = self._tests.get(true)
            if test is None or term.size < test.size:
                self._tests[true] = term

    def _offer(self, size: int, text: str, parameters: Sequence[str]) -> None:
        if (self._best is None or size < self._best[0]) and _names(text).intersection(parameters):
            self._best = (size, text)

    def _conditional(self, parameters: Sequence[str]) -> None:
        """``one if test else other`` that is right everywhere."""
        for true, test in self._tests.items():
            if true in (0, self._goal):
                continue
            one, other = self._covering(true), self._covering(self._goal ^ true)
            if one is not None and other is not None:
                text = f"({one.text}) if ({test.text}) else ({other.text})"
                unfounded = sum(t.size > 1 and not _names(t.text).intersection(parameters) for t in (one, other))
                self._offer(one.size + test.size + other.size + 3 + 3 * unfounded, text, parameters)

    def _covering(self, wanted: int) -> Optional[Term]:
        found = [term for right, term in self._right.items() if right & wanted == wanted]
        return min(found, key=lambda term: (term.size, len(term.text), term.text), default=None)

    # -- growing -----------------------------------------------------------------------------------------------

    def _grown(self, size: int) -> Iterator[Term]:
        for component in COMPONENTS:
            for sizes in _splits(size - 1, len(component.kinds)):
                yield from _applied(component, [self._levels[s] for s in sizes])

    def _comprehensions(self, iterated: Sequence[Term]) -> Iterator[Term]:
        """What can be made of a sequence by doing something with each item, or by choosing among them."""
        for sequence in iterated:
            if FAILED in sequence.values:
                continue
            points = [(i, item) for i, value in enumerate(sequence.values) for item in value]
            if not points:
                continue
            for term in self._inner(points):
                made = _grouped(term.values, points, len(self._wants))
                head, size = f"{term.text} for {ITEM} in {sequence.text}", term.size + sequence.size + 2
                yield _of(f"[{head}]", made, size)
                if term.kind in "in":
                    yield _of(f"sum({head})", [_tried(sum, values) for values in made], size + 1)
                if term.kind == "s":
                    yield _of(f"''.join({head})", [_tried("".join, values) for values in made], size + 1)
                if term.kind == "b":
                    yield from self._filtered(term, sequence, points)

    def _filtered(self, test: Term, sequence: Term, points: Sequence[Tuple[int, Any]]) -> Iterator[Term]:
        chosen = _chosen(test.values, points, len(self._wants))
        head, size = f"{ITEM} for {ITEM} in {sequence.text} if {test.text}", test.size + sequence.size + 3
        yield _of(f"[{head}]", chosen, size)
        yield _of(f"len([{head}])", [len(values) for values in chosen], size + 1)
        yield _of(f"any({test.text} for {ITEM} in {sequence.text})", [bool(values) for values in chosen], size)
        if all(isinstance(item, str) for _, item in points):
            yield _of(f"''.join({head})", [_tried("".join, values) for values in chosen], size + 1)
        if all(isinstance(item, (int, float)) for _, item in points):
            yield _of(f"sum({head})", [_tried(sum, values) for values in chosen], size + 1)

    def _inner(self, points: Sequence[Tuple[int, Any]]) -> List[Term]:
        """Small expressions of one item, the parameters and the constants."""
        spread = [Term(t.text, tuple(t.values[i] for i, _ in points), t.kind, 1) for t in self._levels[1]]
        item = _term(ITEM, tuple(value for _, value in points), 1)
        levels: List[List[Term]] = [[], [item, *spread]]
        seen = {repr(term.values) for term in levels[1]}
        found: List[Term] = [item]
        for size in range(2, _INNER_SIZE + 1):
            level: List[Term] = []
            levels.append(level)
            for component in INNER:
                for sizes in _splits(size - 1, len(component.kinds)):
                    for term in _applied(component, [levels[s] for s in sizes]):
                        self.tried += 1
                        if time.monotonic() > self._due:
                            raise OutOfTime
                        key = repr(term.values)
                        if FAILED in term.values or key in seen or ITEM not in term.text:
                            continue
                        seen.add(key)
                        level.append(term)
                        found.append(term)
                        if len(found) >= _INNER_MOST:
                            return found
        return found


def _splits(total: int, parts: int) -> Iterator[Tuple[int, ...]]:
    if parts == 1:
        if total >= 1:
            yield (total,)
        return
    for first in range(1, total - parts + 2):
        for rest in _splits(total - first, parts - 1):
            yield (first, *rest)


def _applied(component: Component, levels: Sequence[Sequence[Term]]) -> Iterator[Term]:
    fitting = [[t for t in level if takes(wanted, t.kind)] for wanted, level in zip(component.kinds, levels)]
    either_way, equal = (component.kinds, component.template) in COMMUTE, component.template == "{0} == {1}"
    for arguments in itertools.product(*fitting):
        if either_way and arguments[0].text > arguments[1].text:
            continue
        if equal and arguments[0].kind != arguments[1].kind:
            continue
        values = tuple(_value(component, row) for row in zip(*(a.values for a in arguments)))
        yield _term(
            component.template.format(*(_bracketed(a.text) for a in arguments)),
            values,
            1 + sum(a.size for a in arguments),
        )


def _value(component: Component, row: Tuple[Any, ...]) -> Any:
    if FAILED in row:
        return FAILED
    try:
        if component.fits is not None and not component.fits(*row):
            return FAILED
        value = component.apply(*row)
    except Exception:
        return FAILED
    return value if small(value) else FAILED


def _bracketed(text: str) -> str:
    return text if text.isidentifier() or text.isdigit() else f"({text})"


def _term(text: str, values: Sequence[Any], size: int) -> Term:
    kinds = {kind(value) for value in values if value is not FAILED}
    if kinds == {"i", "n"}:
        kinds = {"n"}
    return Term(text, tuple(values), kinds.pop() if len(kinds) == 1 else "a", size)


def _of(text: str, values: Sequence[Any], size: int) -> Term:
    return _term(text, [value if value is FAILED or small(value) else FAILED for value in values], size)


def _tried(function: Any, value: Any) -> Any:
    try:
        return FAILED if value is FAILED else function(value)
    except Exception:
        return FAILED


def _grouped(values: Sequence[Any], points: Sequence[Tuple[int, Any]], count: int) -> List[Any]:
    made: List[Any] = [[] for _ in range(count)]
    for value, (index, _) in zip(values, points):
        made[index].append(value)
    return made


def _chosen(tests: Sequence[Any], points: Sequence[Tuple[int, Any]], count: int) -> List[List[Any]]:
    made: List[List[Any]] = [[] for _ in range(count)]
    for test, (index, item) in zip(tests, points):
        if test:
            made[index].append(item)
    return made


def _names(text: str) -> Set[str]:
    return {node.id for node in ast.walk(ast.parse(text, mode="eval")) if isinstance(node, ast.Name)}
