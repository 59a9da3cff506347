"""Put a candidate's code in the place of the original, in a forked child.

*Warm*: the modules are loaded already; the code of live function objects is exchanged. Only for changes inside the
body of a function that did not run while modules were imported, so that nothing stale can be left behind.
*Cold*: nothing of the repository is loaded yet; the import system is given the candidate's source.
"""

import gc
import os
import types
from importlib.machinery import SourceFileLoader
from typing import Any, Dict, List, Optional, Tuple

Key = Tuple[int, str]


class CannotPatch(Exception):
    """The function is not there to be exchanged, or has another shape; the candidate must be evaluated cold."""


class LiveFunctions:
    """Function objects alive in this process, by the file and place they were defined at."""

    def __init__(self) -> None:
        real: Dict[str, str] = {}
        self._found: Dict[Tuple[str, int, str], List[types.FunctionType]] = {}
        for thing in gc.get_objects():
            if type(thing) is types.FunctionType:
                code = thing.__code__
                path = real.get(code.co_filename)
                if path is None:
                    path = real[code.co_filename] = os.path.realpath(code.co_filename)
                self._found.setdefault((path, code.co_firstlineno, code.co_name), []).append(thing)

    def at(self, path: str, key: Key) -> List[types.FunctionType]:
        return self._found.get((path, key[0], key[1]), [])


def edited(original: bytes, start: int, end: int, text: str) -> bytes:
    """The file with bytes ``start:end`` replaced."""
    return original[:start] + text.encode("utf-8") + original[end:]


def exchange(live: LiveFunctions, path: str, source: bytes, key: Key) -> None:
    """Give the live functions defined at ``key`` (first line, name) the code they have in ``source``."""
    functions = live.at(path, key)
    if not functions:
        raise CannotPatch("no live function")
    code = _find(compile(source, path, "exec", dont_inherit=True), key)
    if code is None:
        raise CannotPatch("function not found in the candidate")
    for function in functions:
        if code.co_freevars != function.__code__.co_freevars:
            raise CannotPatch("other closure")
        function.__code__ = code


def _find(module: types.CodeType, key: Key) -> Optional[types.CodeType]:
    waiting = [module]
    while waiting:
        code = waiting.pop(0)
        for constant in code.co_consts:
            if isinstance(constant, types.CodeType):
                if (constant.co_firstlineno, constant.co_name) == key:
                    return constant
                waiting.append(constant)
    return None


def import_from(path: str, source: bytes) -> None:
    """Make this process's import system read ``source`` wherever it would read the file ``path``."""
    original = SourceFileLoader.get_code
    code = compile(source, path, "exec", dont_inherit=True)

    def get_code(self: SourceFileLoader, fullname: str) -> Any:
        if os.path.realpath(self.path) == path:
            return code
        return original(self, fullname)

    SourceFileLoader.get_code = get_code  # type: ignore[method-assign]
