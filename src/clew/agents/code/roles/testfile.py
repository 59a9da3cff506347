"""The text of a test file, from documented examples and observed calls."""

import ast
import builtins
import keyword
from collections.abc import Iterator

import msgspec

_CASES = 12
"""Observed cases of one function that become tests."""
_LINE = 80


class Example(msgspec.Struct, frozen=True):
    """A documented call: ``want`` is a literal, ``raises`` the name of an exception."""

    expression: str
    names: list[str] = []
    want: str | None = None
    raises: str = ""


class Case(msgspec.Struct, frozen=True):
    """An observed call; ``new``: it ran lines that none before it did."""

    arguments: str
    new: bool = False
    result: str | None = None
    raises: str = ""
    module: str = ""


class Observed(msgspec.Struct, frozen=True):
    examples: list[Example] = []
    cases: list[Case] = []
    skipped: str = ""


class Seen(msgspec.Struct, frozen=True):
    """What the job ``observe`` tells."""

    module: str
    functions: dict[str, Observed] = {}
    exported: list[str] = []
    error: str = ""


def chosen(one: Observed, exported: list[str]) -> Observed:
    """The cases that tell most: those that ran new lines, then each new outcome, then others, up to a number."""
    usable = [case for case in one.cases if _usable(case, exported)]
    outcomes: set[str] = set()
    ranked: list[tuple[int, int]] = []
    for index, case in enumerate(usable):
        outcome = case.raises or case.result or ""
        ranked.append((0 if case.new else 1 if outcome not in outcomes else 2, index))
        outcomes.add(outcome)
    kept = sorted(index for _, index in sorted(ranked)[:_CASES])
    return msgspec.structs.replace(one, cases=[usable[index] for index in kept])


def _usable(case: Case, exported: list[str]) -> bool:
    if _value(case.arguments) is None:
        return False
    if case.raises:
        return _exception(case.raises) or (_name(case.raises) and case.raises in exported)
    return case.result is not None and _value(case.result) is not None


def _value(text: str) -> str | None:
    """The text of a literal as this interpreter writes it: nothing that the sandbox said goes into code unread."""
    try:
        return repr(ast.literal_eval(text))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


def _exception(name: str) -> bool:
    known = getattr(builtins, name, None)
    return isinstance(known, type) and issubclass(known, Exception)


def _name(text: str) -> bool:
    return text.isidentifier() and not keyword.iskeyword(text)


def rendered(seen: Seen) -> str:
    """The text of the test file."""
    names: dict[str, None] = {}
    blocks: list[str] = []
    for name, one in seen.functions.items():
        if not _name(name):
            continue
        lines = [line for example in one.examples for line in _example(example, names)]
        if lines:
            blocks.append(f"def test_{name}_documented():\n" + "\n".join(f"    {line}" for line in lines))
        results = [case for case in one.cases if case.result is not None]
        if results:
            names.setdefault(name)
            rows = "".join(f"        ({_value(case.arguments)}, {_value(case.result or '')}),\n" for case in results)
            head = f'@pytest.mark.parametrize(\n    ("arguments", "result"),\n    [\n{rows}    ],\n)\n'
            blocks.append(
                f"{head}def test_{name}_observed(arguments, result):\n    assert {name}(*arguments) == result"
            )
        raising = [case for case in one.cases if case.raises]
        if raising:
            names.setdefault(name)
            names.update({case.raises: None for case in raising if not _exception(case.raises)})
            rows = "".join(f"        ({_value(case.arguments)}, {case.raises}),\n" for case in raising)
            head = f'@pytest.mark.parametrize(\n    ("arguments", "error"),\n    [\n{rows}    ],\n)\n'
            body = f"    with pytest.raises(error):\n        {name}(*arguments)"
            blocks.append(f"{head}def test_{name}_observed_errors(arguments, error):\n{body}")
    title = (
        f'"""Tests of {seen.module}: documented examples, and what was observed.\n\n'
        "Tests named ``observed`` say what the code did when they were made, which need not be what it ought to do.\n"
        '"""\n'
    )
    wanted = ", ".join(sorted(names))
    if len(wanted) > _LINE:
        wanted = "(\n" + "".join(f"    {name},\n" for name in sorted(names)) + ")"
    imports = f"import pytest\n\nfrom {seen.module} import {wanted}\n"
    return "\n".join([title, imports, "\n" + "\n\n\n".join(blocks) + "\n"])


def _example(example: Example, names: dict[str, None]) -> Iterator[str]:
    """Lines of a test for a documented call; nothing for one that does not stand for itself."""
    try:
        call = ast.unparse(ast.parse(example.expression, mode="eval"))  # in one line, without comments
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    if not all(map(_name, example.names)):
        return
    want = None if example.want is None else _value(example.want)
    if example.raises and _exception(example.raises):
        yield f"with pytest.raises({example.raises}):"
        yield f"    {call}"
    elif want is not None:
        yield f"assert {call} {'is' if want in ('None', 'True', 'False') else '=='} {want}"
    else:
        return
    names.update(dict.fromkeys(example.names))
