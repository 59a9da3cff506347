"""A pytest plugin: does a repaired function do what the original does, on the calls that the tests make?

Loaded with ``-p seeded_shadow`` into the suite of the original program. ``shadow.json`` names the repaired files and
where their text is. Each call of a function whose code differs is done twice more, by the original code and by the
repaired code, on copies of its arguments, and again with one argument changed a little; compared are the result (of
an iterator its items), the exception, and the arguments afterwards. Calls that cannot be copied, or that the original
answers differently each time, are left out, and of the changed ones those that the original refuses.
"""

import copy
import dis
import itertools
import json
import random
import signal
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

RECORDS, VARIATIONS, ITEMS, DEPTH = 150, 12, 200, 6
SECONDS = 0.5
Function = tuple[types.CodeType, types.CodeType]


def functions(code: types.CodeType) -> dict[str, types.CodeType]:
    """Code of the functions of a module and of its classes, and of functions in these, by qualified name."""
    found: dict[str, types.CodeType] = {}
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            found |= functions(inner)
            if not inner.co_qualname.endswith(">"):
                found[inner.co_qualname] = inner
    return found


def shape(code: types.CodeType) -> Any:
    """What a code object does, without the lines where it stands."""
    constants = [shape(c) if isinstance(c, types.CodeType) else (type(c).__name__, repr(c)) for c in code.co_consts]
    names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    return (code.co_code, names, code.co_argcount, code.co_kwonlyargcount, code.co_flags, tuple(constants))


def own(code: types.CodeType) -> Any:
    """The shape without that of the functions and classes inside."""
    outer = [c for c in code.co_consts if not isinstance(c, types.CodeType)]
    return (code.co_code, code.co_names, [repr(c) for c in outer])


class Shadow:
    """Compares; ``told`` is what is reported."""

    def __init__(self, files: dict[str, dict[str, str]]) -> None:
        self.pairs: dict[tuple[str, str, int], Function] = {}
        self.known: dict[types.CodeType, Function | None] = {}
        self.records: dict[types.CodeType, int] = {}
        self.busy = False
        self.told: dict[str, Any] = {"compared": 0, "differ": 0, "varied": 0, "varied_differ": 0, "examples": []}
        unseen: list[str] = []
        for path, text in files.items():
            old, new = compile(text["original"], path, "exec"), compile(text["repaired"], path, "exec")
            before, after = functions(old), functions(new)
            unseen += [path] if own(old) != own(new) or before.keys() != after.keys() else []
            for name in before.keys() & after.keys():
                if shape(before[name]) != shape(after[name]):
                    self.pairs[path, name, before[name].co_firstlineno] = (before[name], after[name])
        self.told["unseen"] = unseen

    def profile(self, frame: types.FrameType, event: str, _: object) -> None:
        if event != "call" or self.busy:
            return
        code = frame.f_code
        if code not in self.known:
            where = [
                k
                for k in self.pairs
                if code.co_filename.endswith(k[0]) and k[1:] == (code.co_qualname, code.co_firstlineno)
            ]
            self.known[code] = self.pairs[where[0]] if where else None
        pair = self.known[code]
        if pair is None or self.records.get(code, 0) >= RECORDS or not _starts(frame):
            return
        self.records[code] = self.records.get(code, 0) + 1
        self.busy = True
        try:
            self.compare(pair, frame)
        finally:
            self.busy = False

    def compare(self, pair: Function, frame: types.FrameType) -> None:
        values = dict(frame.f_locals)
        first = self.both(pair, frame, values)
        if first is None:
            return
        self.told["compared"] += 1
        self._note("differ", pair, values, first)
        chance = random.Random(repr(pair[0].co_qualname) + str(self.records[frame.f_code]))
        for _ in range(VARIATIONS):
            changed = varied(pair[0], values, chance)
            other = self.both(pair, frame, changed) if changed else None
            if changed and other and other[0][0] != "raised":
                self.told["varied"] += 1
                self._note("varied_differ", pair, changed, other)

    def _note(self, key: str, pair: Function, values: dict[str, Any], both: tuple[Any, Any]) -> None:
        if both[0] != both[1]:
            self.told[key] += 1
            if self.told[key] == 1:
                arguments = {n: repr(values[n])[:120] for n in pair[0].co_varnames if n in values}
                self.told["examples"].append(
                    [key, pair[0].co_qualname, repr(arguments), repr(both[0])[:300], repr(both[1])[:300]]
                )

    @staticmethod
    def both(pair: Function, frame: types.FrameType, values: dict[str, Any]) -> tuple[Any, Any] | None:
        """What the original and the repaired code do; None where that cannot be told."""
        if not set(pair[1].co_freevars) <= values.keys() or not set(pair[0].co_freevars) <= values.keys():
            return None
        outcomes = [outcome(code, frame.f_globals, values) for code in (pair[0], pair[0], pair[1])]
        return (outcomes[0], outcomes[2]) if outcomes[0] is not None and outcomes[0] == outcomes[1] else None


def _starts(frame: types.FrameType) -> bool:
    """Not the resumption of a generator."""
    start = next((i.offset for i in dis.get_instructions(frame.f_code) if i.opname == "RESUME"), 0)
    return frame.f_lasti <= start


def outcome(code: types.CodeType, names: dict[str, Any], values: dict[str, Any]) -> Any:
    """``("gave", result, arguments)`` or ``("raised", …)``; None where the arguments cannot be copied, or it lasts."""
    count = code.co_argcount + code.co_kwonlyargcount
    parameters = code.co_varnames[: count + bool(code.co_flags & 4) + bool(code.co_flags & 8)]
    state = random.getstate()
    try:
        mine = copy.deepcopy({n: values[n] for n in (*parameters, *code.co_freevars)})
    except Exception:  # whatever an argument does when it is copied
        return None
    cells = tuple(types.CellType(mine[n]) for n in code.co_freevars)
    called = types.FunctionType(code, names, code.co_name, None, cells)
    rest = list(parameters[count:])
    more = mine[rest.pop(0)] if code.co_flags & 4 else ()
    named = mine[rest.pop(0)] if code.co_flags & 8 else {}
    keywords = {n: mine[n] for n in parameters[code.co_argcount : count]}
    random.seed(1)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        result = called(*(mine[n] for n in parameters[: code.co_argcount]), *more, **keywords, **named)
        return ("gave", plain(result), plain(mine))
    except TimeoutError:
        return None
    except BaseException as error:
        return ("raised", type(error).__name__, str(error)[:200], plain(mine))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        random.setstate(state)


def plain(value: Any, depth: int = 0) -> Any:
    """A value that can be compared: objects by their type and attributes, iterators by their items."""
    if depth > DEPTH:
        return "…"
    if isinstance(value, (list, tuple)):
        return (type(value).__name__, [plain(v, depth + 1) for v in value[:ITEMS]])
    if isinstance(value, dict):
        return (
            type(value).__name__,
            [(plain(k, depth + 1), plain(v, depth + 1)) for k, v in list(value.items())[:ITEMS]],
        )
    if isinstance(value, (set, frozenset)):
        return (type(value).__name__, sorted(repr(plain(v, depth + 1)) for v in value))
    if isinstance(value, Iterator):
        return ("iterator", [plain(v, depth + 1) for v in itertools.islice(value, ITEMS)])
    if isinstance(value, (types.FunctionType, types.MethodType, types.BuiltinFunctionType, type)):
        return value.__qualname__
    if isinstance(value, BaseException):
        return (type(value).__name__, str(value))
    attributes = getattr(value, "__dict__", None)
    if isinstance(attributes, dict) and attributes:
        return (type(value).__name__, [(k, plain(v, depth + 1)) for k, v in sorted(attributes.items())])
    text = repr(value)
    return (type(value).__name__, text if " at 0x" not in text else "")


def varied(code: types.CodeType, values: dict[str, Any], chance: random.Random) -> dict[str, Any] | None:
    """The arguments with one of them changed a little."""
    count = code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & 4) + bool(code.co_flags & 8)
    names = [n for n in code.co_varnames[:count] if n not in {"self", "cls"} and neighbours(values[n])]
    if not names:
        return None
    name = chance.choice(names)
    return {**values, name: chance.choice(neighbours(values[name]))}


def neighbours(value: Any) -> list[Any]:
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, (int, float)):
        return [value + 1, value - 1, value * 2]
    if isinstance(value, str):
        return [value[1:], value[:-1], value + value[:1], value.swapcase()] if value else []
    if type(value) in {list, tuple}:
        return [value[1:], value[:-1], value[::-1], value + value[:1]] if value else []
    if type(value) is dict:
        return [dict(list(value.items())[1:])] if value else []
    return []


SHADOWS: list[Shadow] = []


def _late(*_: object) -> None:
    raise TimeoutError


def pytest_sessionstart() -> None:
    SHADOWS.append(Shadow(json.loads(Path("shadow.json").read_text())))
    signal.signal(signal.SIGALRM, _late)
    sys.setprofile(SHADOWS[0].profile)


def pytest_sessionfinish() -> None:
    sys.setprofile(None)
    Path("shadow.out.json").write_text(json.dumps(SHADOWS[0].told))
