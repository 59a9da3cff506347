"""A preloaded library that counts syncs and makes writes fail, and programs that run under it or are killed."""

import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <sys/types.h>
static int syncs, sync_fails, write_fails_after = -1, write_errno, writes;
int shim_syncs(void) { return syncs; }
int shim_writes(void) { return writes; }
void shim_fail_syncs(int on) { sync_fails = on; }
void shim_fail_writes(int after, int error) { write_fails_after = after; write_errno = error; writes = 0; }
static int sync_with(const char *name, int fd) {
  int (*real)(int) = dlsym(RTLD_NEXT, name);
  syncs++;
  if (sync_fails) { errno = EIO; return -1; }
  return real(fd);
}
int fsync(int fd) { return sync_with("fsync", fd); }
int fdatasync(int fd) { return sync_with("fdatasync", fd); }
static ssize_t write_with(const char *name, int fd, const void *data, size_t size, off_t at) {
  ssize_t (*real)(int, const void *, size_t, off_t) = dlsym(RTLD_NEXT, name);
  if (write_fails_after >= 0 && writes++ >= write_fails_after) { errno = write_errno; return -1; }
  return real(fd, data, size, at);
}
ssize_t pwrite(int fd, const void *d, size_t n, off_t at) { return write_with("pwrite", fd, d, n, at); }
ssize_t pwrite64(int fd, const void *d, size_t n, off_t at) { return write_with("pwrite64", fd, d, n, at); }
"""

PROLOGUE = """
import asyncio, ctypes, errno, os, signal, sys
from pathlib import Path
from clew.core.errors import ClewError, Conflict, JournalError
from clew.core.events import Event, NodeCompleted, RunFinished, RunStarted
from clew.gate.ports.journal import Append, RunFilter
from clew.stores.projections import shipped
from clew.stores.sqlite.journal import SqliteJournal

path = Path(sys.argv[1])
shim = ctypes.CDLL(None)

def start(run="r1"):
    event = Event(RunStarted(run=run, workflow="w", plan="p", start="s"), {"input": 1}, 1)
    return Append(run=run, expected=0, events=[event], epoch=1, state="running")

def node(expected, run="r1", epoch=1, size=1):
    event = Event(NodeCompleted(task="0", node="a", attempt=1), {"output": "x" * size}, expected)
    return Append(run=run, expected=expected, events=[event], epoch=epoch, state="running")

def opened():
    return SqliteJournal.open(path, projections=shipped())
"""


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("needs a C compiler on Linux to count syncs")
    folder = tmp_path_factory.mktemp("shim")
    (folder / "shim.c").write_text(SHIM)
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", "shim.so", "shim.c", "-ldl"], cwd=folder, check=True)
    return folder / "shim.so"


@pytest.fixture
def program(path: Path) -> Callable[..., "subprocess.Popen[str]"]:
    """Starts ``PROLOGUE`` and the given lines as a process of their own on ``path``."""
    running: list[subprocess.Popen[str]] = []

    def run(body: str, preload: Path | None = None, **env: str) -> "subprocess.Popen[str]":
        text = PROLOGUE + textwrap.dedent(body)
        given = {**os.environ, **env} | ({"LD_PRELOAD": str(preload)} if preload else {})
        process = subprocess.Popen(
            [sys.executable, "-c", text, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=given,
        )
        running.append(process)
        return process

    yield run  # type: ignore[misc]
    for process in running:
        process.kill()
        process.communicate()


@pytest.fixture
def output(program: Callable[..., "subprocess.Popen[str]"]) -> Callable[..., list[str]]:
    """Runs a program to its end; its lines."""

    def run(body: str, preload: Path | None = None, **env: str) -> list[str]:
        process = program(body, preload, **env)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        return out.splitlines()

    return run
