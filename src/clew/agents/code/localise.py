"""Where the fault is likely to be: lines ranked by the tests that run them (spectrum-based localisation).

Ochiai (Abreu et al., TAIC PART 2007) or DStar with exponent 2 (Wong et al., IEEE Trans. Reliability 2014). Lines that
stand in the tracebacks of failing tests, or where a hanging test was interrupted, are raised: the spectrum of a single
function is often flat, and a traceback is the best tie-break there is.
"""

import ast
import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from clew.agents.code.source import FUNCTIONS, Source

Formula = Callable[[int, int, int], float]

INNERMOST = 0.6
STACK = 0.2
DERIVED = 0.6


class Suspect(msgspec.Struct, frozen=True):
    """A line. ``failing`` and ``passing``: how many tests of each sort run it; ``group``: which tests they are."""

    file: str
    line: int
    score: float
    failing: int
    passing: int
    group: int


class Spectrum(msgspec.Struct, frozen=True):
    """Lines that failing tests run. ``lines[file][line]`` is a group; a group is (failing, passing) test indexes."""

    lines: dict[str, dict[str, int]]
    groups: list[tuple[list[int], list[int]]]


def ochiai(failing: int, passing: int, total_failing: int) -> float:
    """ef / sqrt(F · (ef + ep)); 0 to 1."""
    return failing / math.sqrt(total_failing * (failing + passing)) if failing and total_failing else 0.0


def dstar(failing: int, passing: int, total_failing: int) -> float:
    """ef² / (ep + nf), brought to 0 … 1 by x / (1 + x)."""
    rest = passing + total_failing - failing
    ratio = failing**2 / rest if rest else math.inf
    return 1.0 if math.isinf(ratio) else ratio / (1 + ratio)


def rank(
    spectrum: Spectrum,
    frames: Sequence[Sequence[tuple[str, int]]],
    targets: Iterable[int],
    formula: Formula = ochiai,
) -> list[Suspect]:
    """Lines by suspicion, highest first, scaled so that the highest is 1.

    ``targets``: indexes of the failing tests that count; ``frames``: for each of them the (file, line) of its
    traceback in the repository's own code, outermost first.
    """
    wanted = set(targets)
    bonus = _frame_bonus(frames)
    found: list[Suspect] = []
    for file, lines in spectrum.lines.items():
        for text, group in lines.items():
            failing = len(wanted.intersection(spectrum.groups[group][0]))
            passing = len(spectrum.groups[group][1])
            if failing:
                line = int(text)
                score = formula(failing, passing, len(wanted)) * (1 + bonus.get((file, line), 0.0))
                found.append(Suspect(file, line, score, failing, passing, group))
    top = max((s.score for s in found), default=1.0) or 1.0
    scaled = [msgspec.structs.replace(s, score=round(s.score / top, 6)) for s in found]
    return sorted(scaled, key=lambda s: (-s.score, s.file, s.line))


def _frame_bonus(frames: Sequence[Sequence[tuple[str, int]]]) -> dict[tuple[str, int], float]:
    """Share of the tracebacks in which a line is the innermost (weighs most) or stands further out."""
    bonus: dict[tuple[str, int], float] = {}
    told = [stack for stack in frames if stack]
    for stack in told:
        for place in {(file, line) for file, line in stack}:
            weight = INNERMOST if place == tuple(stack[-1]) else STACK
            bonus[place] = bonus.get(place, 0.0) + weight / len(told)
    return bonus


def statement_scores(source: Source, suspects: Mapping[int, Suspect]) -> dict[ast.stmt, Suspect]:
    """For each statement its most suspicious line; a function's or class's header gets no score from its body.

    Assignments that run at import (module constants, class attributes) are covered by no single test. They inherit
    part of the suspicion of the lines that use their name.
    """
    found: dict[ast.stmt, Suspect] = {}
    for statement in source.statements:
        own = [suspects[line] for line in source.lines_of(statement) if line in suspects]
        if own:
            found[statement] = max(own, key=lambda s: (s.score, -s.line))
    for statement in source.statements:
        if statement not in found and isinstance(statement, (ast.Assign, ast.AnnAssign)):
            heir = _used_by(statement, source, found)
            if heir is not None:
                score = round(heir.score * DERIVED, 6)
                found[statement] = msgspec.structs.replace(heir, line=statement.lineno, score=score, group=-1)
    return found


def _used_by(
    statement: ast.Assign | ast.AnnAssign, source: Source, scores: Mapping[ast.stmt, Suspect]
) -> Suspect | None:
    if any(isinstance(above, FUNCTIONS) for above in source.ancestors(statement)):
        return None
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    names = {n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)}
    users: list[Suspect] = []
    for user, suspect in scores.items():
        for node in source.expressions(user):
            used = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
            if used in names:
                users.append(suspect)
                break
    return max(users, key=lambda s: (s.score, -s.line), default=None)
