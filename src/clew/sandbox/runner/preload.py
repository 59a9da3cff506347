"""The preloaded interpreter: what is imported before anything is forked, and how a script runs in a fork.

A request that is marked ``preloaded`` is run by the child itself instead of an interpreter that it starts: the same
standard library, no site-packages, and no start-up. ``PYTHONPATH`` of the request is honoured.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import io
import os
import signal
import sys
import threading
import traceback
import types
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.importlib import MetaPathFinderProtocol, PathEntryFinderProtocol

_MODULES = (
    "_strptime bisect collections copy csv datetime decimal encodings.ascii fractions functools heapq io itertools json "
    "linecache math operator pathlib random re sqlite3 statistics string textwrap time traceback typing"
)
_IGNORED = (signal.SIGPIPE, signal.SIGXFSZ)
_NOT_FLUSHED = 120
"""Exit status of an interpreter that could not write its last output."""
_paths: list[str] = []
_importers: list[MetaPathFinderProtocol] = []
_path_hooks: list[Callable[[str], PathEntryFinderProtocol]] = []


def load() -> None:
    """Import what scripts use most; the code they take first (formatting, compiling) is warmed up by running it."""
    for name in _MODULES.split():
        with contextlib.suppress(ImportError):  # an interpreter built without it
            importlib.import_module(name)
    _make_streams()
    compile("import csv\nprint(csv)", "<warm-up>", "exec")
    try:
        raise ValueError
    except ValueError:
        traceback.format_exc()


def forget_finders() -> None:
    """Nothing may be imported any more: from now on, paths of the host name files of the sandbox."""
    _paths[:] = sys.path[1:]  # the first one is the runner's own
    _importers[:] = sys.meta_path
    _path_hooks[:] = sys.path_hooks
    sys.path.clear()
    sys.meta_path.clear()
    sys.path_hooks.clear()
    sys.path_importer_cache.clear()


def set_environment(env: dict[str, str]) -> None:
    """What every script finds. Here and with the streams, before the fork, because a child pays for what it makes."""
    os.environ.clear()
    for name in env:
        os.environ[name] = env[name]


def _make_streams() -> None:
    """Standard streams for whatever pipes will have the numbers 0 to 2; made on pipes, as they ask what they stand on."""
    reading, writing = os.pipe()
    null = os.open(os.devnull, os.O_RDWR)
    for fd, end in enumerate((reading, writing, writing)):
        os.dup2(end, fd)
    sys.stdin = sys.__stdin__ = io.TextIOWrapper(io.BufferedReader(io.FileIO(0, closefd=False)), "utf-8")
    sys.stdout = sys.__stdout__ = _writer(1, "strict")
    sys.stderr = sys.__stderr__ = _writer(2, "backslashreplace")
    for fd in range(3):
        os.dup2(null, fd)
    for fd in (reading, writing, null):
        os.close(fd)


def ignore_signals() -> None:
    """As the interpreter does when it starts."""
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)


def restore_signals() -> None:
    """What an executed program would otherwise inherit."""
    for number in _IGNORED:
        signal.signal(number, signal.SIG_DFL)


def run_script(argv: list[str], env: dict[str, str]) -> None:
    """Become ``argv``: [interpreter, script, argument…]; never returns. Raises OSError when there is no such script."""
    with open(argv[1], "rb") as file:  # noqa: PTH123
        source = file.read()
    sys.meta_path[:], sys.path_hooks[:] = _importers, _path_hooks
    extra = [entry for entry in env.get("PYTHONPATH", "").split(":") if entry]
    sys.path[:] = [os.path.dirname(os.path.abspath(argv[1])), *extra, *_paths]  # noqa: PTH100, PTH120
    sys.argv[:] = argv[1:]
    sys.orig_argv[:] = argv
    sys.executable = argv[0]
    os.environ.update(env)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    gc.enable()
    code = _outcome(lambda: _execute(source, argv[1]))
    code = _outcome(threading._shutdown) or code  # noqa: SLF001 # pyright: ignore
    atexit._run_exitfuncs()  # noqa: SLF001 # pyright: ignore
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:  # a script may have put anything there
            code = _NOT_FLUSHED
    os._exit(code & 0xFF)


def _writer(fd: int, errors: str) -> io.TextIOWrapper:
    raw = io.BufferedWriter(io.FileIO(fd, "w", closefd=False))
    return io.TextIOWrapper(raw, "utf-8", errors, line_buffering=fd == 2)


def _execute(source: bytes, path: str) -> None:
    module = types.ModuleType("__main__")
    module.__dict__.update(__file__=path, __builtins__=__builtins__)
    sys.modules["__main__"] = module
    exec(compile(source, path, "exec", dont_inherit=True), module.__dict__)  # noqa: S102 - the very purpose


def _outcome(run: Callable[[], object]) -> int:
    """Exit status of ``run`` as the interpreter reckons it."""
    try:
        run()
    except SystemExit as ending:
        if ending.code is None or isinstance(ending.code, int):
            return ending.code or 0
        sys.stderr.write(f"{ending.code}\n")
        return 1
    except BaseException as error:
        trace = error.__traceback__
        while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
            trace = trace.tb_next
        with contextlib.suppress(Exception):
            sys.excepthook(type(error), error.with_traceback(trace), trace)
        return 1
    return 0
