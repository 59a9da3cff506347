"""All candidates for a repair: every mutation of every suspicious statement, in the order in which they are tried."""

import ast
import re
from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from clew.agents.code.context import Context
from clew.agents.code.localise import Suspect, statement_scores
from clew.agents.code.mutations import (
    calls,
    comparisons,
    conditions,
    constants,
    copied,
    exceptions,
    initial,
    names,
    off_by_one,
    operators,
    returns,
    slices,
    statements,
)
from clew.agents.code.signs import Signs, Told
from clew.agents.code.source import Mutation, Source

Family = Callable[[ast.stmt, Context], Iterator[Mutation]]

FAMILIES: tuple[Family, ...] = (
    comparisons.mutate,
    operators.mutate,
    constants.mutate,
    off_by_one.mutate,
    names.mutate,
    calls.mutate,
    slices.mutate,
    conditions.mutate,
    returns.mutate,
    exceptions.mutate,
    initial.mutate,
    copied.mutate,
    statements.mutate,
)


class Candidate(msgspec.Struct, frozen=True):
    """One changed file: bytes ``start:end`` of ``path`` replaced by ``text``.

    ``score`` is suspicion x prior. ``owner`` is the outermost function whose body the change lies in (first line,
    name), None when code at import may be touched. ``group`` names the tests that run the line, -1 for all.
    """

    path: str
    line: int
    operator: str
    start: int
    end: int
    text: str
    score: float
    owner: tuple[int, str] | None
    group: int


def candidates(
    sources: Mapping[str, bytes],
    suspects: Sequence[Suspect],
    import_lines: Mapping[str, Sequence[int]],
    told: Sequence[Told] = (),
) -> list[Candidate]:
    """Every distinct candidate, best first; the order depends on the arguments alone. ``told``: how the targets fail.

    Files that do not parse (a syntax newer than this interpreter's) yield none.
    """
    found: list[Candidate] = []
    for path in sorted(sources):
        lines = {s.line: s for s in suspects if s.file == path}
        if not lines:
            continue
        try:
            source = Source(path, sources[path])
        except (SyntaxError, UnicodeDecodeError, ValueError):
            continue
        found.extend(_of_file(source, lines, frozenset(import_lines.get(path, ())), told))
    return sorted(found, key=lambda c: (-c.score, c.path, c.start, c.end, c.text))


def _of_file(
    source: Source, lines: Mapping[int, Suspect], at_import: frozenset[int], told: Sequence[Told]
) -> Iterator[Candidate]:
    contexts: dict[ast.AST | None, Context] = {}
    best: dict[tuple[int, int, bytes], Candidate] = {}
    imported = _functions_run_at_import(source, at_import)
    for statement, suspect in statement_scores(source, lines).items():
        function = source.function_of(statement)
        context = contexts.setdefault(function, Context(source, function))
        signs = Signs(statement, source, told)
        for family in FAMILIES:
            for mutation in family(statement, context):
                edit = minimal(source.data, mutation.start, mutation.end, mutation.text)
                if edit is None:
                    continue
                score = round(suspect.score * signs.prior(mutation), 6)
                known = best.get(edit)
                if known is not None and known.score >= score:
                    continue
                owner = source.owner(mutation.start, mutation.end)
                best[edit] = Candidate(
                    path=source.path,
                    line=source.line_at(edit[0]),
                    operator=mutation.operator,
                    start=edit[0],
                    end=edit[1],
                    text=edit[2].decode("utf-8"),
                    score=score,
                    owner=None if owner in imported else owner,
                    group=suspect.group if owner is not None else -1,
                )
    yield from best.values()


_REMOVES = frozenset(
    {
        *("statement too many", "condition too many", "condition dropped", "operand dropped"),
        *("argument dropped", "element dropped", "slice too many", "recursion dropped", "rest dropped"),
        *("result of another branch", "result dropped", "sign of a constant"),
    }
)
_SPECIAL = frozenset({"base case missing", "guard missing"})
_FIXED = re.compile(r"\s*(return|(return )?(None|True|False|-?\d+|''|\[\]|\{\}|\[\[\]\]))(\s*\n\s*)?$")


def trust(candidate: Candidate) -> float:
    """What is taken off candidates that pass the tests as often by chance as by being right, 0 to 1.

    Those that take behaviour away are what most wrong but plausible patches do (Qi et al., ISSTA 2015); next come special
    cases and fixed results.
    """
    if candidate.operator in _REMOVES:
        return 0.5
    told = candidate.operator.startswith(("return", "statement", "wrong jump"))
    return 0.7 if candidate.operator in _SPECIAL or (told and _FIXED.match(candidate.text)) else 1.0


def minimal(data: bytes, start: int, end: int, text: str) -> tuple[int, int, bytes] | None:
    """The same edit without what both sides share at either end; None when it changes nothing."""
    old, new = data[start:end], text.encode("utf-8")
    if old == new:
        return None
    head = 0
    while head < min(len(old), len(new)) and old[head] == new[head]:
        head += 1
    while head and head < max(len(old), len(new)) and _inside_character(old, new, head):
        head -= 1
    tail = 0
    while tail < min(len(old), len(new)) - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    while tail and (old[len(old) - tail] & 0xC0) == 0x80:
        tail -= 1
    return start + head, end - tail, new[head : len(new) - tail]


def _inside_character(old: bytes, new: bytes, index: int) -> bool:
    return any(index < len(side) and (side[index] & 0xC0) == 0x80 for side in (old, new))


def _functions_run_at_import(source: Source, at_import: frozenset[int]) -> set[tuple[int, str] | None]:
    """Owners with a line of their body among those that ran while modules were imported."""
    found: set[tuple[int, str] | None] = set()
    for statement in source.statements:
        if at_import.intersection(source.lines_of(statement)):
            found.add(source.owner(*source.span(statement)))
    return found
