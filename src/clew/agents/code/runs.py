"""What the runner in the sandbox is asked: one session of the suite, or one batch of candidates."""

import re
from pathlib import Path
from typing import Any

import msgspec

from clew.agents.code import workspace
from clew.agents.code.interpreter import Interpreter
from clew.agents.code.mutate import Candidate
from clew.agents.code.ranges import unpacked
from clew.agents.code.records import Batched, Located, Request, Session, Suite, Test
from clew.agents.code.runner.scope import split_node_id
from clew.agents.code.workspace import Task
from clew.core.errors import Failure
from clew.gate.ports.sandbox import MIB, SandboxBackend

INTERNAL_ERROR = 3
"""pytest's exit code when it, or a plugin of it, broke down."""
NOTHING_COLLECTED = 5
_TELLING = re.compile(r"E  |ERROR: (?!usage)|.*: error: |INTERNALERROR> [\w.]+(Error|Warning|Exception)|\w+ while ")
FAILING = ("failed", "timeout")
COLLECT_LIMIT = 60.0
SECOND_CHANCE = 4
"""Times the limit of a test that seemed to hang."""
LONG_SUITE = 3.0
"""Seconds of tests, from which on it is worth a session more to trace less."""
SUITE_MEMORY = 1408 * MIB
CANDIDATE_MEMORY = 384 * MIB
"""Both beyond what is mapped before: a process that asks for more gets a MemoryError."""
Place = tuple[Path, Interpreter]


async def first_session(backend: SandboxBackend, request: Request, place: Place) -> tuple[Session, dict[str, Any]]:
    """The suite as it is, and what later sessions must be told to run it alike.

    Plugins that stop the suite are left off (an interpreter that was not made for this repository has plugins that its
    configuration does not know); files that were asked for and that pytest did not find by itself are named to it; tests
    that seem to hang are tried once more, for they may be slow.
    Raises Failure: ``no_repository``, ``no_tests``, ``missing_module``, or ``suite`` when pytest did not get to any test.
    """
    settings: dict[str, Any] = {}
    session = await suite_session(backend, request, place, settings)
    if not session.tests and session.exit == INTERNAL_ERROR:
        bare = await suite_session(backend, request, place, {"plugins": False})
        if bare.tests or bare.exit == NOTHING_COLLECTED:
            session, settings = bare, {"plugins": False}
    unseen = _unseen(place[0], request.tests, session)
    if unseen:
        settings["paths"] = [*dict.fromkeys(file_of(test) for test in session.tests), *unseen]
        found = {"rootdir": session.rootdir, "inifile": session.inifile}
        session = await suite_session(backend, request, place, {**settings, **found})
    _refuse(session, place)
    slow = [test.id for test in session.tests if test.outcome == "timeout"]
    if slow:
        limit = request.test_timeout * SECOND_CHANCE
        again = {**settings, "rootdir": session.rootdir, "inifile": session.inifile, "test_limit": limit, "tests": slow}
        other = await suite_session(backend, request, place, {**again, "paths": _files(slow)})
        ended = {test.id: test for test in other.tests if test.id in slow and test.outcome != "timeout"}
        if ended:
            settings["test_limit"] = limit
            tests = [ended.get(test.id, test) for test in session.tests]
            session = msgspec.structs.replace(session, tests=tests)
    return session, settings


async def suite_session(
    backend: SandboxBackend,
    request: Request,
    place: Place,
    more: dict[str, Any],
    changed: dict[str, bytes] | None = None,
) -> Session:
    """Run the suite once; ``more`` goes into the task (``coverage``, and what ``told`` gives)."""
    tracing = bool(more.get("coverage"))
    limit = more.get("test_limit") or request.test_timeout
    spec: dict[str, Any] = {
        "hung_limit": 0.5,
        "collect_limit": COLLECT_LIMIT * (3 if tracing else 1),
        "factor": 10.0,
        "wall": request.suite_timeout * (2 if tracing else 1),
        "memory": SUITE_MEMORY,
        **more,
        "test_limit": limit * (3 if tracing else 1),
    }
    answer = await workspace.run(backend, *place, Task("session", spec, spec["wall"] + 30), changed)
    return msgspec.convert(answer, Session)


async def traced_session(
    backend: SandboxBackend, request: Request, place: Place, suite: Suite, changed: dict[str, bytes]
) -> Session:
    """The suite with line coverage, in a tree with the ``changed`` files.

    Tracing slows code down several times, so that in a long suite only the failing tests are traced, and all of it runs
    again with probes on the lines that these ran; but not where they fail in company only, or where probes see nothing
    of them.
    """
    tracing: dict[str, Any] = {**told(suite), "coverage": True, "hanging": suite.hanging}
    if suite.seconds > LONG_SUITE:
        few = {**tracing, "tests": suite.failing, "paths": _files(suite.failing)}
        first = await suite_session(backend, request, place, few, changed)
        failed = {test.id for test in first.tests if test.outcome in FAILING}
        lines = (
            {path: sorted(map(int, table)) for path, table in first.coverage.lines.items()} if first.coverage else {}
        )
        if lines and failed.issuperset(suite.failing):
            second = await suite_session(backend, request, place, {**tracing, "lines": lines}, changed)
            if _covered(second) >= _covered(first):
                return second
    return await suite_session(backend, request, place, tracing, changed)


def _covered(session: Session) -> set[str]:
    """Failing tests of which lines are known."""
    groups = session.coverage.groups if session.coverage else []
    return {session.tests[index].id for failing, _ in groups for index in failing}


def told(suite: Suite) -> dict[str, Any]:
    """What a session is told, to run the suite as it was run first."""
    names = ("rootdir", "inifile", "plugins", "paths", "test_limit")
    return {name: getattr(suite, name) for name in names}


def _files(names: list[str]) -> list[str]:
    return list(dict.fromkeys(split_node_id(name)[0] for name in names))


def file_of(test: Test) -> str:
    return split_node_id(test.id)[0]


def _unseen(repo: Path, wanted: tuple[str, ...], session: Session) -> list[str]:
    """Files named by the request that exist and that no test came from."""
    seen = {file_of(test) for test in session.tests}
    named = dict.fromkeys(name.partition("::")[0] for name in wanted)
    return [name for name in named if name not in seen and workspace.holds(repo, name)]


def _refuse(session: Session, place: Place) -> None:
    repo, interpreter = place
    missing = sorted({test.missing for test in session.tests if test.missing})
    if missing and all(test.missing for test in session.tests):
        names = ", ".join(missing)
        raise Failure(
            f"no test of {repo} can be collected: {interpreter.executable} has no {names}",
            code="missing_module",
            hint="install what is missing there, or name the repository's own interpreter with python=…",
        )
    if session.tests:
        return
    if next(workspace.python_files(repo), None) is None:
        hint = "name the top folder of a Python repository"
        raise Failure(f"{repo} holds no Python files", code="no_repository", hint=hint)
    if session.exit == NOTHING_COLLECTED:
        hint = 'if they are in files of unusual names, name these: tests=["checks.py"]'
        raise Failure(f"pytest found no tests in {repo}", code="no_tests", hint=hint)
    raise Failure(f"pytest did not get to any test of {repo}: {_essence(session.output)}", code="suite")


def _essence(output: str) -> str:
    """The lines of pytest's output that say what went wrong, else its end."""
    lines = [line.rstrip() for line in output.splitlines() if line.strip()]
    told = [line for line in lines if _TELLING.match(line)]
    words = [re.sub(r"^(E|INTERNALERROR>) +", "", line) for line in told or lines]
    return "; ".join(words[-4:])[-800:] or "it said nothing"


async def batch(
    backend: SandboxBackend, place: Place, request: Request, spec: dict[str, Any], changed: dict[str, bytes]
) -> Batched:
    """Judge the candidates of ``spec``, made by ``batch_spec``, in a tree with the ``changed`` files."""
    wall = request.batch_time + 4 * (spec["cold_limit"] + spec["covering_limit"]) + 30
    return msgspec.convert(await workspace.run(backend, *place, Task("batch", spec, wall), changed), Batched)


def entry(candidate: Candidate) -> dict[str, Any]:
    return {
        "path": candidate.path,
        "start": candidate.start,
        "end": candidate.end,
        "text": candidate.text,
        "owner": candidate.owner,
        "group": candidate.group,
    }


def batch_spec(
    request: Request, suite: Suite, located: Located, entries: list[dict[str, Any]], misses: int
) -> dict[str, Any]:
    """Everything the runner needs. The last group is the union: tests for changes that any of them may see."""
    groups = [unpacked(group) for group in located.groups]
    union = sorted({index for group in groups for index in group})
    for entry in entries:
        entry["group"] = entry["group"] if entry["group"] >= 0 else len(groups)
    limit = 0.2 + 5 * located.target_seconds
    return {
        **told(suite),
        "candidates": entries,
        "targets": located.targets,
        "tests": located.tests,
        "groups": [*groups, union],
        "hits": [*(unpacked(group) for group in located.hits), list(range(len(located.targets)))],
        "misses": misses,
        "hanging": located.hanging,
        "files": located.files,
        "workers": request.workers,
        "limit": limit,
        "cold_limit": limit + 10.0,
        "covering_limit": 1.0 + 3 * suite.seconds_passed,
        "memory": CANDIDATE_MEMORY,
        "wall": request.batch_time,
    }


def target_time(test: Test, suite: Suite) -> float:
    """Seconds a target may take once it passes: at least what a passing test takes on average, for it failed early."""
    usual = suite.seconds_passed / max(1, suite.passed)
    wild = test.outcome == "timeout" or test.message.startswith(("MemoryError", "RecursionError"))
    return usual if wild else max(test.took, usual)
