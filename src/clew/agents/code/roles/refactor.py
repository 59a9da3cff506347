"""Refactor: better form, the same behaviour: every test that passed still does, and no name that others use is gone (K6).

Offline by the rules of the static analysis that change no meaning (unused imports, dead assignments, needless code …).
"""

import ast
from functools import partial
from typing import Annotated

import msgspec

from clew.agents.code.roles import testexec
from clew.agents.code.roles.analysis import analyse
from clew.agents.code.roles.codegen import ANSWER, edited
from clew.agents.code.roles.seat import MODEL, OFFLINE, Json, Payload, Question, Seat, understood
from clew.agents.code.roles.syntax import checked
from clew.agents.code.roles.tree import delta, placed, python_files, read, text_of
from clew.core.errors import Failure
from clew.gate.ports.sandbox import SandboxBackend

_ANOTHER = ("misfit", "no_change", "invalid_code", "behaviour", "names_lost")


class Task(Payload, frozen=True, kw_only=True):
    """``target``: the file; ``instructions``: for a model; ``timeout``: seconds of the suite."""

    target: Annotated[str, msgspec.Meta(min_length=1)]
    instructions: str = ""
    timeout: Annotated[float, msgspec.Meta(gt=0, le=3600)] = 30.0


class Refactored(msgspec.Struct, frozen=True, kw_only=True):
    """``tests``: counts before and after; ``findings``: number of them before. ``delta`` is None where there was nothing to do."""

    method: str
    target: str
    findings: int
    tests: Json
    changes: dict[str, str]
    delta: Json | None = None


async def work(payload: Json, seat: Seat) -> Json:
    """Raises Failure: ``not_found``, ``behaviour`` (a test that passed does not), ``names_lost``, ``no_tests`` (nothing passes now,
    so that nothing could be judged), ``no_ruff``, those of CodeGen."""
    wanted = understood(Task, payload)
    target = placed(wanted.target)
    text = (await seat.do("read", read, payload, [target]))[target]
    if text is None or not target.endswith(".py"):
        raise Failure(f"there is no Python file {target}", code="not_found")
    before = await seat.do("execute", testexec.execute, _suite(wanted, wanted.changes))
    if not _passing(before):
        raise Failure("no test passes now: a change could not be judged", code="no_tests")
    look = {**payload, "fix": not wanted.model}
    found = await seat.do("analyse", partial(analyse, seat.lint), look)
    base = Refactored(
        method=MODEL if wanted.model else OFFLINE,
        target=target,
        findings=len(found["findings"]) + (0 if wanted.model else len(found["texts"])),
        tests={"before": before["counts"]},
        changes=wanted.changes,
    )
    if wanted.model:
        told = await _asked(wanted, (text, found["findings"], before), base, seat)
    elif target not in found["texts"]:
        told = base
    else:
        summary = f"{target} by the rules of {found['engine']}"
        told = await _judged(wanted, (text, found["texts"][target], summary), before, base, seat)
    return msgspec.to_builtins(told)


async def _asked(wanted: Task, known: tuple[str, list[Json], Json], base: Refactored, seat: Seat) -> Refactored:
    text, findings, before = known
    said = "\n".join(f"{one['location']}: {one['message']}" for one in findings[:40])
    task = wanted.instructions or "Improve the form of the file."
    about = {"Task": task, "File": text, "Path": base.target, "Analysis": said}

    async def take(answer: Json, _left: int) -> Refactored:
        after = edited(text, answer)
        await checked(seat, wanted, {base.target: after})
        return await _judged(wanted, (text, after, answer["summary"]), before, base, seat)

    question = Question(agent="Refactor", prompt="refactor", about=about, schema=ANSWER, mendable=_ANOTHER)
    return await seat.ask(wanted, question, take)


async def _judged(wanted: Task, made: tuple[str, str, str], before: Json, base: Refactored, seat: Seat) -> Refactored:
    """The change, if nothing is lost by it. Raises Failure: ``names_lost``, ``behaviour``."""
    text, after, summary = made
    lost = await seat.do("lost", lost_names, msgspec.to_builtins(wanted), after)
    if lost:
        raise Failure(f"other files use what would be gone: {', '.join(lost)}", code="names_lost", details=lost)
    changes = {**wanted.changes, base.target: after}
    ran = await seat.do("execute", testexec.execute, _suite(wanted, changes))
    broken = sorted(_passing(before) - _passing(ran))
    if broken or ran["status"] != before["status"]:
        log = testexec.error_log(ran)
        raise Failure(
            f"tests that passed do not any more: {', '.join(broken[:5])}\n{log}", code="behaviour", details=broken[:20]
        )
    tests = {**base.tests, "after": ran["counts"]}
    return msgspec.structs.replace(base, tests=tests, changes=changes, delta=delta(base.target, text, after, summary))


def _suite(wanted: Task, changes: dict[str, str]) -> Json:
    return {"repo": wanted.repo, "python": wanted.python, "changes": changes, "timeout": wanted.timeout}


def _passing(ran: Json) -> set[str]:
    return {test["id"] for test in ran["tests"] if test["outcome"] == "passed"}


def lost_names(_backend: SandboxBackend, payload: Json, after: str) -> list[str]:
    """The job: names that the file binds now and would not any more, and that another file asks it for or may mean."""
    wanted = understood(Task, payload)
    target = placed(wanted.target)
    gone = _bound(text_of(wanted, target) or "") - _bound(after)
    if not gone:
        return []
    asked: set[str] = set()
    for path in python_files(wanted):
        if path != target:
            asked |= _used(_readable(wanted, path))
    return sorted(gone & asked)


def _readable(wanted: Task, path: str) -> str:
    try:
        return text_of(wanted, path) or ""
    except Failure:
        return ""


def _tree(text: str) -> ast.Module:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ast.Module(body=[], type_ignores=[])


def _bound(text: str) -> set[str]:
    """Names that a module binds at its own level."""
    found: set[str] = set()
    for node in _tree(text).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found.update((one.asname or one.name).partition(".")[0] for one in node.names)
        else:
            stored = (n for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))
            found.update(one.id for one in stored)
    return found


def _used(text: str) -> set[str]:
    """Names that a file imports from somewhere, or reads as an attribute, or has as a text: a module's, perhaps."""
    found: set[str] = set()
    for node in ast.walk(_tree(text)):
        if isinstance(node, ast.ImportFrom):
            found.update(one.name for one in node.names)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found.add(node.attr)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(node.value.rpartition(".")[2])
    return found
