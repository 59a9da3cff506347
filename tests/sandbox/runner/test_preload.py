"""A script on the preloaded interpreter behaves as on one that was just started."""

import os
import sys

import pytest

from clew.gate.interpreter import interpreter_mounts
from clew.gate.ports.sandbox import MIB, ExecRequest, Profile

pytestmark = pytest.mark.sandbox
PYTHON = os.path.realpath(sys.executable)

SCRIPTS = {
    "unicode": ("print('é', end='')", 0, b"\xc3\xa9"),
    "exit_code": ("import sys; sys.exit(3)", 3, b""),
    "exit_message": ("import sys; sys.exit('why')", 1, b""),
    "exit_none": ("import sys; sys.exit(None)", 0, b""),
    "exit_negative": ("raise SystemExit(-1)", 255, b""),
    "uncaught": ("def f(): 1/0\nprint(1)\nf()", 1, b"1\n"),
    "syntax_error": ("def f(: pass", 1, b""),
    "hard_exit": ("import os; print(1, flush=True); os._exit(4)", 4, b"1\n"),
    "names": (
        "import sys; print(sys.argv, __name__, __file__)",
        0,
        b"['/workspace/dir/script.py'] __main__ /workspace/dir/script.py\n",
    ),
    "folders": (
        "import os, sys; print(os.getcwd(), sys.path[0], sys.executable == sys.orig_argv[0])",
        0,
        b"/workspace /workspace/dir True\n",
    ),
    "stdin": ("import sys; print(sys.stdin.readline(), sys.stdin.read())", 0, b"in\n put\n"),
    "threads_and_atexit": (
        (
            "import atexit, threading, time\n"
            "atexit.register(print, 'last')\n"
            "threading.Thread(target=lambda: (time.sleep(0.05), print('thread'))).start()"
        ),
        0,
        b"thread\nlast\n",
    ),
    "multiprocessing": (
        (
            "import multiprocessing\n"
            "if __name__ == '__main__':\n"
            "    with multiprocessing.Pool(1) as p: print(p.map(abs, [-1]))"
        ),
        0,
        b"[1]\n",
    ),
    "child_signals": (
        (
            "import subprocess; print(subprocess.run(['grep', 'Sig[IB]', '/proc/self/status'], "
            "capture_output=True, text=True).stdout)"
        ),
        0,
        b"SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n\n",
    ),
    "imports": (
        "import asyncio, ctypes, dataclasses, unittest, zoneinfo, xml.dom.minidom; print(sorted({'a', 'b', 'c'}))",
        0,
        b"['a', 'b', 'c']\n",
    ),
    "hash_order": ("print(list({'a', 'bb', 'ccc', 'dddd'}) == list({'a', 'bb', 'ccc', 'dddd'}))", 0, b"True\n"),
    "signals": (
        (
            "import signal; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler, "
            "signal.getsignal(signal.SIGPIPE))"
        ),
        0,
        b"True 1\n",
    ),
    "flags": (
        "import gc, sys; print(gc.isenabled(), sys.flags.isolated, sys.getrecursionlimit())",
        0,
        b"True 0 1000\n",
    ),
    "environment": (
        "import os; print(sorted(set(os.environ) - {'LC_CTYPE'}))",
        0,
        b"['HOME', 'LANG', 'PATH', 'PYTHONDONTWRITEBYTECODE', 'PYTHONHASHSEED']\n",
    ),
    "crash": ("import os; os.kill(os.getpid(), 11)", None, b""),
    "recursion": ("def f(n): return f(n + 1)\ntry: f(0)\nexcept RecursionError: print('deep')", 0, b"deep\n"),
}


@pytest.fixture
def sandbox(backend):
    with backend.acquire(Profile(wall_s=10, memory=256 * MIB, mounts=interpreter_mounts(PYTHON))) as sandbox:
        yield sandbox


@pytest.fixture
def both(sandbox):
    """The script's result, after it was seen to be the same on an interpreter started for it."""

    async def run(source, *args, **fields):
        sandbox.put("dir/script.py", source.encode())
        argv = (PYTHON, "/workspace/dir/script.py", *args)
        fields["env"] = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0", **fields.get("env", {})}
        warm = await sandbox.execute(ExecRequest(argv=argv, preloaded=True, **fields))
        cold = await sandbox.execute(ExecRequest(argv=argv, **fields))
        seen = [(r.status, r.rc, r.reason, r.stdout, r.stderr) for r in (warm, cold)]
        assert seen[0] == seen[1]
        return warm

    return run


@pytest.mark.parametrize("name", SCRIPTS)
async def test_same_as_a_new_interpreter(both, name):
    source, rc, stdout = SCRIPTS[name]
    result = await both(source, stdin=b"in\nput")
    assert (result.rc, result.stdout) == (rc, stdout), result


async def test_arguments_and_search_path(both, sandbox):
    sandbox.put("lib/other.py", b"value = 1\n")
    sandbox.put("dir/neighbour.py", b"value = 2\n")
    source = "import sys, other, neighbour; print(sys.argv[1:], other.value, neighbour.value)"
    result = await both(source, "-x", "é", env={"PYTHONPATH": "/workspace/lib"})
    assert result.stdout.decode() == "['-x', 'é'] 1 2\n"


async def test_output_that_cannot_be_written(sandbox):
    sandbox.put("script.py", b"import os; os.close(1); print('x')")
    assert (await sandbox.execute(ExecRequest(argv=(PYTHON, "script.py"), preloaded=True))).rc == 120


async def test_no_script_and_no_folder(sandbox):
    for fields in ({"argv": (PYTHON, "nope.py")}, {"argv": (PYTHON,)}, {"argv": (PYTHON, "x"), "cwd": "/nope"}):
        result = await sandbox.execute(ExecRequest(preloaded=True, **fields))
        assert result.rc in (126, 127), result
        assert b"cannot run" in result.stderr


async def test_chance_differs(sandbox):
    sandbox.put("script.py", b"import random; print(random.random())")
    request = ExecRequest(argv=(PYTHON, "script.py"), preloaded=True)
    assert (await sandbox.execute(request)).stdout != (await sandbox.execute(request)).stdout


async def test_nothing_of_the_engine_is_seen(sandbox):
    source = b"for name in ('cmdline', 'environ'): print(open('/proc/self/' + name, 'rb').read().strip(bytes(1)))\n"
    sandbox.put("script.py", source + b"import sys; print([path for path in sys.path if 'clew' in path])")
    result = await sandbox.execute(ExecRequest(argv=(PYTHON, "script.py"), preloaded=True))
    assert result.stdout == b"b''\nb''\n[]\n", result
