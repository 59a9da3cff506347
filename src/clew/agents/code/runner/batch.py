"""Task ``batch``: judge many candidates in one command.

Candidates that change only the body of a function which did not run at import are judged *warm*: one session
collects the tests, then forks per candidate and exchanges the code. All others are judged *cold*: a fork per
candidate that imports everything with the candidate's source in place. Either way the failing tests run first, those that run the
changed lines before the others and those that never ended last; ``misses`` of them that still fail end the candidate.
What is left after one that repairs at least one of them must not break the passing tests that run the changed lines.
A candidate that never ends is ended by its CPU time. Verdicts are returned by candidate, so that it does not matter
which of two neighbours was faster.
"""

import contextlib
import gc
import importlib
import json
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, List, Optional

import pytest

from .children import Child, limit_cpu, limit_memory, silence, spawn, wait_any
from .options import prepare_path, pytest_arguments
from .patch import CannotPatch, LiveFunctions, edited, exchange, import_from
from .scope import split_node_id
from .stages import KILLED, PARTIAL, PASSED, REGRESSED, Judged, Stages

TIMEOUT = "timeout"
INVALID = "invalid"
COLD = "cold"
_CODES = {PASSED: b"P", PARTIAL: b"S", KILLED: b"K", REGRESSED: b"R", INVALID: b"I", COLD: b"C"}
_VERDICTS = {code: verdict for verdict, code in _CODES.items()}
_PRELOAD_LIMIT = 300


class Judge:
    """Forks candidates, at most ``workers`` at a time, and keeps their verdicts by index."""

    def __init__(self, spec: Dict[str, Any], verdicts: List[Optional[str]]) -> None:
        self.spec = spec
        self.verdicts = verdicts
        self.repaired: Dict[int, List[int]] = {}
        self.due = time.monotonic() + spec["wall"]
        self.scratch = tempfile.mkdtemp(prefix="clew-batch-")
        self.running: Dict[int, Child] = {}

    def judge(self, indexes: List[int], body: Any, limit: float) -> None:
        """Run ``body(candidate) -> Judged`` in a child per index, in order; leaves None what time did not allow.

        ``limit``: seconds of CPU time until the failing tests must be through; the wall clock gets a multiple of it.
        """
        wall = 4 * (limit + self.spec["covering_limit"]) + 2
        waiting = list(indexes)
        while waiting or self.running:
            while waiting and len(self.running) < self.spec["workers"] and time.monotonic() < self.due:
                index = waiting.pop(0)
                self.running[index] = spawn(lambda pipe, i=index: self._child(pipe, i, body, limit), wall)
            if not self.running:
                return
            self._reap()

    def _child(self, pipe: int, index: int, body: Any, limit: float) -> None:
        silence()
        folder = str(Path(self.scratch, str(index)))
        Path(folder).mkdir()
        tempfile.tempdir = os.environ["TMPDIR"] = os.environ["PYTEST_DEBUG_TEMPROOT"] = folder
        limit_memory(self.spec["memory"])
        limit_cpu(limit)
        found: List[int] = []
        try:
            verdict, found = body(self.spec["candidates"][index])
        except (SyntaxError, ValueError):
            verdict = INVALID
        except CannotPatch:
            verdict = COLD
        except BaseException:  # whatever the candidate throws through pytest is its own end
            verdict = KILLED
        os.write(pipe, _CODES[verdict] + json.dumps(found).encode())

    def _reap(self) -> None:
        child = wait_any(list(self.running.values()))
        if child is None:
            return
        index = next(i for i, c in self.running.items() if c is child)
        del self.running[index]
        child.end()
        self.verdicts[index] = _VERDICTS.get(child.data[:1], TIMEOUT)
        if self.verdicts[index] in (PASSED, PARTIAL):
            self.repaired[index] = json.loads(child.data[1:])
        shutil.rmtree(str(Path(self.scratch, str(index))), ignore_errors=True)

    def close(self) -> None:
        for child in self.running.values():
            child.end()
        shutil.rmtree(self.scratch, ignore_errors=True)


class WarmLoop(Stages):
    """Takes over the session after collection and judges the warm candidates in forks of it."""

    def __init__(self, spec: Dict[str, Any], judge: Judge, indexes: List[int]) -> None:
        super().__init__(spec)
        self.judge = judge
        self.indexes = indexes
        self.reached = False

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: Any) -> bool:
        self.reached = True
        live = LiveFunctions()
        gc.collect()
        gc.freeze()
        paths = {self.spec["candidates"][index]["path"] for index in self.indexes}
        originals = {path: _read(self.spec, path) for path in paths}

        def body(candidate: Dict[str, Any]) -> Judged:
            path = _real(self.spec, candidate["path"])
            source = edited(originals[candidate["path"]], candidate["start"], candidate["end"], candidate["text"])
            if candidate["start"] != candidate["end"] or candidate["text"]:
                exchange(live, path, source, (candidate["owner"][0], candidate["owner"][1]))
            found = self.repaired(session.items, candidate)
            return self.verdict(session.items, found, _covering(self.spec, candidate))

        self.judge.judge(self.indexes, body, self.spec["limit"])
        return True


class ColdLoop(Stages):
    """One stage of a candidate in a session of its own: most end in the first, which collects little.

    ``found``: the targets that the first stage repaired, None in the first itself.
    """

    def __init__(self, spec: Dict[str, Any], candidate: Dict[str, Any], found: Optional[List[int]]) -> None:
        super().__init__(spec)
        self.candidate = candidate
        self.found = found
        self.judged: Judged = (REGRESSED if found else KILLED, [])

    @pytest.hookimpl
    def pytest_collectreport(self, report: Any) -> None:
        names = self.targets if self.found is None else _covering(self.spec, self.candidate)
        if report.failed and any(split_node_id(t)[0] == split_node_id(report.nodeid)[0] for t in names):
            self.failed = True

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: Any) -> bool:
        if self.found is None:
            limit_cpu(self.spec["limit"])
            self.judged = (KILLED, self.repaired(session.items, self.candidate))
        elif not self.failed:
            self.judged = self.verdict(session.items, self.found, _covering(self.spec, self.candidate))
        return True


def perform(spec: Dict[str, Any]) -> Dict[str, Any]:
    """Judge ``spec['candidates']``; verdicts by index, None where the batch's time was over."""
    prepare_path(spec)
    verdicts: List[Optional[str]] = [None] * len(spec["candidates"])
    judge = Judge(spec, verdicts)
    began = time.monotonic()
    try:
        warm = [i for i, candidate in enumerate(spec["candidates"]) if candidate.get("owner")]
        cold = [i for i, candidate in enumerate(spec["candidates"]) if not candidate.get("owner")]
        if warm:
            _judge_warm(spec, judge, warm)
            cold = sorted(cold + [i for i in warm if verdicts[i] == COLD])
        if cold:
            _judge_cold(spec, judge, cold)
    finally:
        judge.close()
    return {
        "verdicts": [None if verdict == COLD else verdict for verdict in verdicts],
        "repaired": {str(index): found for index, found in sorted(judge.repaired.items())},
        "seconds": round(time.monotonic() - began, 3),
    }


def _judge_warm(spec: Dict[str, Any], judge: Judge, indexes: List[int]) -> None:
    """In a child, so that nothing of the repository is loaded in this process when the cold ones are forked."""

    def session(pipe: int) -> None:
        silence()
        loop = WarmLoop(spec, judge, indexes)
        groups = {spec["candidates"][index]["group"] for index in indexes}
        covering = [spec["tests"][test] for group in sorted(groups) for test in spec["groups"][group]]
        paths = _paths(spec, [*spec["targets"], *covering])
        pytest.main([*pytest_arguments(spec), "--assert=plain", *paths], plugins=[loop])
        verdicts = [judge.verdicts[index] if loop.reached else COLD for index in indexes]
        with contextlib.suppress(BrokenPipeError):
            os.write(pipe, json.dumps([verdicts, [judge.repaired.get(i) for i in indexes]]).encode() + b"\n")

    patience = 4 * (spec["limit"] + spec["covering_limit"]) + 4
    child = spawn(session, max(0.1, judge.due - time.monotonic()) + patience)
    data = b""
    while not data.endswith(b"\n"):
        wait_any([child])
        if not child.data:
            break
        data, child.data = data + child.data, b""
    child.end()
    # a session that did not get through says nothing: each is tried on its own
    verdicts, repaired = json.loads(data) if data.endswith(b"\n") else ([COLD] * len(indexes), [None] * len(indexes))
    for index, verdict, found in zip(indexes, verdicts, repaired):
        judge.verdicts[index] = verdict
        if found is not None:
            judge.repaired[index] = found


def _judge_cold(spec: Dict[str, Any], judge: Judge, indexes: List[int]) -> None:
    _preload(spec)
    gc.collect()
    gc.freeze()

    def body(candidate: Dict[str, Any]) -> Judged:
        source = edited(_read(spec, candidate["path"]), candidate["start"], candidate["end"], candidate["text"])
        import_from(_real(spec, candidate["path"]), source)
        first = _cold_session(spec, ColdLoop(spec, candidate, None), spec["targets"])
        covering = _covering(spec, candidate)
        if not first.judged[1]:
            return KILLED, []
        if not covering:
            return first.verdict([], first.judged[1], [])
        return _cold_session(spec, ColdLoop(spec, candidate, first.judged[1]), covering).judged

    judge.judge(indexes, body, spec["cold_limit"])


def _cold_session(spec: Dict[str, Any], loop: ColdLoop, tests: List[str]) -> ColdLoop:
    limit_cpu(spec["cold_limit"])
    pytest.main([*pytest_arguments(spec), "--assert=plain", *_paths(spec, tests)], plugins=[loop])
    return loop


def _preload(spec: Dict[str, Any]) -> None:
    """Import once what every candidate would import: the suite's third-party modules, never the repository's own."""
    for name in spec.get("preload", ())[:_PRELOAD_LIMIT]:
        with contextlib.suppress(Exception):
            importlib.import_module(name)


def _paths(spec: Dict[str, Any], tests: List[str]) -> List[str]:
    """The files that the tests are in, in the suite's order."""
    wanted = dict.fromkeys(split_node_id(name)[0] for name in tests)
    order = [path for path in spec.get("files", ()) if path in wanted]
    return [*order, *(path for path in wanted if path not in order)]


def _covering(spec: Dict[str, Any], candidate: Dict[str, Any]) -> List[str]:
    return [spec["tests"][index] for index in spec["groups"][candidate["group"]]]


def _real(spec: Dict[str, Any], relative: str) -> str:
    return str(Path(spec["root"], relative).resolve())


def _read(spec: Dict[str, Any], relative: str) -> bytes:
    return Path(_real(spec, relative)).read_bytes()
