"""Task ``observe``: call the functions of a module with many values and note what they do, and read their documented examples.

Each function is called in a forked child, each call under a time limit. A function that reaches for the world (files, processes,
sockets) is not called on: a test of it would do so too.
"""

import ast
import builtins
import copy
import doctest
import importlib
import inspect
import json
import os
import signal
import sys
import time
import types
import typing
from typing import Any, Callable, Dict, Iterator, List, Optional, Set, Tuple

from .children import limit_memory, silence, spawn, wait_any
from .options import prepare_path
from .pools import ANY, pool, spread

_MOST_CALLS = 80
_CALL = 0.25
"""Seconds of one call."""
_LONGEST = 400
"""Characters of a value that is noted."""
_GUESS = (TypeError, AttributeError, KeyError, IndexError)
_WORLD = (
    "os.",
    "shutil.",
    "subprocess.",
    "socket.",
    "ctypes.",
    "sqlite3.",
    "tempfile.",
    "urllib.",
    "ftplib.",
    "smtplib.",
)
_HARMLESS = ("os.listdir", "os.scandir", "os.walk")
"""Imports look into folders, too."""
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class TouchesWorld(BaseException):
    """Not to be caught by the function that is called."""


class OutOfTime(BaseException):
    """The same."""


class _Watch:
    """An audit hook, which cannot be taken off again: armed during calls."""

    def __init__(self) -> None:
        self.armed = False
        self.seen = ""
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: Tuple[Any, ...]) -> None:
        if not self.armed:
            return
        writes = event == "open" and isinstance(arguments[2], int) and bool(arguments[2] & _WRITES)
        if writes or (event.startswith(_WORLD) and event not in _HARMLESS):
            self.seen = self.seen or event
            raise TouchesWorld(event)


def perform(spec: Dict[str, Any]) -> Dict[str, Any]:
    """``{functions: {name: {examples, cases, skipped}}, exported}``, or ``error``.

    ``spec``: ``module`` and ``functions`` by name, none for all; ``wall`` and ``each`` (one function's): seconds.
    """
    prepare_path(spec)
    due = time.monotonic() + spec["wall"]
    listed = _in_child(lambda tell: tell(_listed(spec)), min(30.0, spec["wall"]))
    if not listed or "names" not in listed[0]:
        return {"error": (listed[0]["error"] if listed else "importing it did not end"), "functions": {}}
    found: Dict[str, Any] = {}
    for name in listed[0]["names"]:
        left = due - time.monotonic()
        if left <= 0:
            found[name] = {"examples": [], "cases": [], "skipped": "there was no time for it"}
            continue
        notes = _in_child(lambda tell, name=name: _observe(spec, name, tell), min(left, spec["each"]))
        found[name] = _folded(notes)
    return {"functions": found, "exported": listed[0]["exported"]}


def _in_child(body: Callable[[Callable[[Dict[str, Any]], None]], None], wall: float) -> List[Dict[str, Any]]:
    def run(pipe: int) -> None:
        silence()
        limit_memory(256 << 20)
        body(lambda note: _write(pipe, note))

    child = spawn(run, wall)
    data = b""
    while True:
        turned = wait_any([child])
        data, more, child.data = data + child.data, child.data, b""
        if turned is None or not more:
            break
    child.end()
    notes: List[Any] = []
    for line in data.split(b"\n"):
        try:
            notes.append(json.loads(line))
        except ValueError:
            continue
    return [note for note in notes if isinstance(note, dict)]


def _write(pipe: int, note: Dict[str, Any]) -> None:
    data = json.dumps(note).encode() + b"\n"
    while data:
        data = data[os.write(pipe, data) :]


def _listed(spec: Dict[str, Any]) -> Dict[str, Any]:
    """The functions that the module itself defines, in the order of the text."""
    try:
        module = importlib.import_module(spec["module"])
    except BaseException as error:
        return {"error": f"{type(error).__name__}: {str(error)[:500]}"}
    own = [
        value
        for name, value in vars(module).items()
        if isinstance(value, types.FunctionType) and value.__module__ == module.__name__ and name == value.__name__
    ]
    own.sort(key=lambda function: function.__code__.co_firstlineno)
    names = [function.__name__ for function in own]
    wanted = [name for name in names if name in spec["functions"]] if spec["functions"] else names
    public = [name for name in wanted if not name.startswith("_") or spec["functions"]]
    return {"names": public, "exported": sorted(name for name in vars(module) if name.isidentifier())}


def _folded(notes: List[Dict[str, Any]]) -> Dict[str, Any]:
    skipped = next((str(note["skipped"]) for note in notes if "skipped" in note), "")
    cases = [note["case"] for note in notes if "case" in note]
    ended = any("ended" in note for note in notes)
    reason = skipped or ("" if ended else "it was ended in the middle of a call")
    return {
        "examples": [note["example"] for note in notes if "example" in note],
        "cases": [] if skipped else cases,
        "skipped": reason,
    }


def _observe(spec: Dict[str, Any], name: str, tell: Callable[[Dict[str, Any]], None]) -> None:
    module = importlib.import_module(spec["module"])
    function = getattr(module, name)
    for example in examples(function, module):
        tell({"example": example})
    reason = _unfit(function)
    guessed = False
    pools: List[List[Any]] = []
    if not reason:
        pools, guessed = _pools(function)
        if not all(pools) and pools:
            reason = "there are no values for some of its parameters"
    if reason:
        tell({"skipped": reason})
        return
    watch = _Watch()
    seen: Set[Any] = set()
    signal.signal(signal.SIGALRM, _alarm)
    for arguments in spread(pools, _MOST_CALLS):
        first, lines = _call(function, arguments, watch)
        if watch.seen:
            tell({"skipped": "it reaches for the world: " + watch.seen})
            return
        again, _ = _call(function, arguments, watch)
        if first is None or first != again or (guessed and first.get("guess")):
            continue
        new = not lines <= seen
        seen |= lines
        tell({"case": {"arguments": repr(arguments), "new": new, **first}})
    tell({"ended": True})


def _alarm(_number: int, _frame: Any) -> None:
    raise OutOfTime


def _unfit(function: types.FunctionType) -> str:
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        return "it is asynchronous"
    if inspect.isgeneratorfunction(function):
        return "it is a generator"
    kinds = [p.kind for p in inspect.signature(function).parameters.values() if p.default is p.empty]
    if inspect.Parameter.KEYWORD_ONLY in kinds:
        return "it has parameters that are named"
    return ""


def _pools(function: types.FunctionType) -> Tuple[List[List[Any]], bool]:
    """Values for each positional parameter, and whether some of them are guesses."""
    try:
        hints = typing.get_type_hints(function)
    except Exception:
        hints = {}
    found: List[List[Any]] = []
    guessed = False
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.KEYWORD_ONLY):
            continue
        known = parameter.name in hints
        guessed = guessed or not known
        values = list(pool(hints[parameter.name]) if known else ANY)
        if parameter.default is not parameter.empty and literal(parameter.default) is not None:
            values = [parameter.default, *[v for v in values if repr(v) != repr(parameter.default)]]
        found.append(values)
    return found, guessed


def _call(
    function: types.FunctionType, arguments: Tuple[Any, ...], watch: _Watch
) -> Tuple[Optional[Dict[str, Any]], Set[Any]]:
    """What came of it (None for what cannot be written down), and the lines of its file that ran."""
    lines: Set[Any] = set()
    file = function.__code__.co_filename

    def trace(frame: Any, event: str, _argument: Any) -> Any:
        if frame.f_code.co_filename != file:
            return None
        if event == "line":
            lines.add(frame.f_lineno)
        return trace

    values = copy.deepcopy(arguments)
    told: Optional[Dict[str, Any]] = None
    signal.setitimer(signal.ITIMER_REAL, _CALL)
    try:
        watch.armed = True
        sys.settrace(trace)
        try:
            result = function(*values)
        finally:
            sys.settrace(None)
            watch.armed = False
            signal.setitimer(signal.ITIMER_REAL, 0)
        text = literal(result)
        told = None if text is None else {"result": text}
    except OutOfTime:
        told = None
    except TouchesWorld:
        told = None
    except Exception as error:
        inner = _innermost(error) == file
        told = {"raises": type(error).__name__, "module": type(error).__module__}
        if isinstance(error, _GUESS) or not inner:
            told["guess"] = True
    except BaseException:
        told = None
    return told, lines


def _innermost(error: BaseException) -> str:
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    return at.tb_frame.f_code.co_filename if at is not None else ""


def literal(value: Any) -> Optional[str]:
    """The text of a value that reads back as the same; else None."""
    try:
        text = repr(value)
        if len(text) > _LONGEST:
            return None
        same = ast.literal_eval(text)
        return text if same == value and type(same) is type(value) else None
    except Exception:
        return None


def examples(function: Any, module: Any) -> Iterator[Dict[str, Any]]:
    """Documented examples that stand for themselves: ``{expression, names}`` with ``want`` (a literal) or ``raises``."""
    try:
        parsed = doctest.DocTestParser().get_examples(inspect.getdoc(function) or "")
    except ValueError:
        return
    for one in parsed:
        source = one.source.strip()
        try:
            tree = ast.parse(source, mode="eval")
        except SyntaxError:
            continue
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        bound = {
            node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)
        }
        free = {name for name in names - bound if not hasattr(builtins, name)}
        if not all(hasattr(module, name) for name in free):
            continue
        example: Dict[str, Any] = {"expression": source, "names": sorted(free)}
        if one.exc_msg:
            example["raises"] = one.exc_msg.partition(":")[0].strip().rpartition(".")[2]
        else:
            try:
                example["want"] = repr(ast.literal_eval(one.want.strip()))
            except (ValueError, SyntaxError, MemoryError, RecursionError):
                continue
        yield example
