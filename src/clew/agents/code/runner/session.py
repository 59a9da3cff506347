"""Task ``session``: run the suite once, each test under a time limit, with or without coverage.

The suite runs in a forked child. A test over its limit is interrupted by an exception; one that swallows it is
killed with its process, and a new child goes on with the tests that remain.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any, Dict, FrozenSet, List, Optional, Set, Tuple

import pytest

from .children import Child, limit_memory, silence, spawn, wait_any
from .faults import dumped
from .options import prepare_path, pytest_arguments
from .recorder import Limits, Recorder
from .tracer import Tracer

GRACE = 2.0


class Log:
    """What the children have told so far, folded into one result."""

    def __init__(self, tracing: bool) -> None:
        self.ids: List[str] = []
        self.ended: Dict[str, Dict[str, Any]] = {}
        self.broken: Dict[str, Dict[str, Any]] = {}
        self.meta: Dict[str, Any] = {}
        self.import_lines: Dict[str, Set[int]] = {}
        self.lines: Dict[str, Dict[str, List[int]]] = {}
        self.current: Optional[str] = None
        self.hung: Dict[str, Any] = {}
        self.limit = 0.0
        self.stuck = ""
        self.tracing = tracing

    def add(self, event: Dict[str, Any]) -> None:
        kind = event.pop("e")
        if kind == "collected":
            if not self.ids:
                self.ids = event["ids"]
            for path, lines in event.pop("lines").items():
                self.import_lines.setdefault(path, set()).update(lines)
            self.meta = {key: event[key] for key in ("rootdir", "inifile", "version")}
        elif kind == "broken":
            self.lines.setdefault(event["id"], event.pop("lines"))
            self.broken[event["id"]] = {"outcome": "failed", "took": 0.0, "collect": True, **event}
        elif kind == "start":
            self.current, self.limit, self.hung = event["id"], event["limit"], {}
        elif kind == "hung":
            self.hung = event
        elif kind == "end":
            self.current = None
            self.lines[event["id"]] = event.pop("lines")
            self.ended[event["id"]] = event


def perform(spec: Dict[str, Any]) -> Dict[str, Any]:
    """Run the suite as ``spec`` says and return outcomes, times, failures and (if asked) lines per test."""
    prepare_path(spec)
    log = Log(bool(spec.get("coverage")))
    limits = Limits(spec["test_limit"], spec["hung_limit"], spec.get("factor", 10.0))
    due = time.monotonic() + spec["wall"]
    complete = False
    while not complete and time.monotonic() < due:
        before = len(log.ended)
        complete = _one_child(spec, log, limits, due)
        if not complete:
            if log.current is None and len(log.ended) == before:
                break  # died outside any test: nothing would change by going on
            if log.current is not None:
                _record_killed(log, limits, dumped(spec.get("dump"), Tracer(spec["root"]).relative))
    return _result(spec, log, complete)


def _one_child(spec: Dict[str, Any], log: Log, limits: Limits, due: float) -> bool:
    """Run one child to its end; True when it went through all the tests."""
    skip = frozenset(log.ended)
    patience = min(due - time.monotonic(), spec.get("collect_limit", due))
    child = spawn(lambda pipe: _run(spec, pipe, skip, limits), max(0.1, patience))
    buffer, complete = b"", False
    while True:
        turned = wait_any([child])
        data, child.data = child.data, b""
        buffer += data
        *whole, buffer = buffer.split(b"\n")
        for line in whole:
            event = json.loads(line)
            if event["e"] == "complete":
                complete = True
                log.meta["exit"] = event["exit"]
                continue
            collecting = event["e"] == "broken"
            log.add(event)
            if not collecting:
                _schedule(child, log, due)
        if turned is None or not data:
            break
    if "version" not in log.meta and time.monotonic() >= child.due:
        log.stuck = f"ERROR: collecting the tests did not end within {patience:g} s"
    child.end()
    for entry in log.ended.values():
        if entry["outcome"] == "timeout":
            limits.hung = True
        elif entry["outcome"] == "passed":
            limits.slowest = max(limits.slowest, entry["took"])
    return complete


def _schedule(child: Child, log: Log, due: float) -> None:
    """A running test is killed some time after its own limit; between tests only the session's end counts."""
    child.due = due if log.current is None else min(due, time.monotonic() + log.limit + GRACE)


def _record_killed(log: Log, limits: Limits, stack: List[Tuple[str, int]]) -> None:
    """``stack``: where it stood, as far as that is known; these lines ran at least."""
    name = log.current or ""
    log.ended[name] = {
        "id": name,
        "outcome": "timeout",
        "took": log.limit,
        "message": "the process was killed: the test did not end, or brought the interpreter down",
        "frames": log.hung.get("frames") or stack,
    }
    lines: Dict[str, List[int]] = log.hung.get("lines", {})
    for path, line in stack:
        lines[path] = sorted({*lines.get(path, ()), line})
    log.lines.setdefault(name, lines)
    log.current = None
    limits.hung = True


def _run(spec: Dict[str, Any], pipe: int, skip: FrozenSet[str], limits: Limits) -> None:
    silence()
    _redirect(spec.get("output"))
    limit_memory(spec["memory"])
    recorder = Recorder(spec, pipe, skip, limits)
    code = pytest.main([*pytest_arguments(spec), *spec.get("paths", ())], plugins=[recorder])
    recorder.tell(e="complete", exit=int(code))


def _redirect(path: Optional[str]) -> None:
    """Keep pytest's own words, to explain a session that ran nothing."""
    if path:
        output = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.close(output)


def _tail(path: Optional[str]) -> str:
    if not path or not Path(path).exists():
        return ""
    with Path(path).open("rb") as output:
        output.seek(max(0, Path(path).stat().st_size - 4000))
        return output.read().decode("utf-8", "replace")


def _result(spec: Dict[str, Any], log: Log, complete: bool) -> Dict[str, Any]:
    tests = [log.ended[name] for name in log.ids if name in log.ended]
    tests.extend(log.broken[name] for name in sorted(log.broken))
    missing = [name for name in log.ids if name not in log.ended]
    result: Dict[str, Any] = {
        **log.meta,
        "python": "{}.{}.{}".format(*sys.version_info[:3]),
        "complete": complete,
        "tests": tests,
        "not_run": missing,
        "output": "" if tests else _tail(spec.get("output")) + log.stuck,
    }
    if log.tracing:
        result["import_lines"] = {path: sorted(lines) for path, lines in log.import_lines.items()}
        result["coverage"] = _table(tests, log)
    return result


def _table(tests: List[Dict[str, Any]], log: Log) -> Dict[str, Any]:
    """Lines that a failing test ran -> group number; a group is [indexes of failing, indexes of passing tests]."""
    failing = [i for i, test in enumerate(tests) if test["outcome"] in ("failed", "timeout")]
    passing = [i for i, test in enumerate(tests) if test["outcome"] == "passed"]
    runs: Dict[str, Dict[int, List[List[int]]]] = {}
    for kind, indexes in enumerate((failing, passing)):
        for index in indexes:
            for path, lines in log.lines.get(tests[index]["id"], {}).items():
                table = runs.setdefault(path, {})
                for line in lines:
                    if kind == 0:
                        table.setdefault(line, [[], []])[0].append(index)
                    elif line in table:
                        table[line][1].append(index)
    groups: Dict[str, int] = {}
    lines_to_group: Dict[str, Dict[str, int]] = {}
    for path, table in sorted(runs.items()):
        for line, group in sorted(table.items()):
            key = json.dumps(group)
            lines_to_group.setdefault(path, {})[str(line)] = groups.setdefault(key, len(groups))
    return {"lines": lines_to_group, "groups": [json.loads(key) for key in groups]}
