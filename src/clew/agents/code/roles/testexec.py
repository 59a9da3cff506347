"""TestExec: a repository's tests, run in a sandbox with the limits of a test (K6), and what came of each of them."""

from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

import msgspec

from clew.agents.code import workspace
from clew.agents.code.roles.seat import OFFLINE, Json, Payload, Seat, understood
from clew.agents.code.roles.tree import ROOT, opened, placed, python_files, python_path
from clew.agents.code.runner.scope import editable
from clew.core.errors import Failure, UsageError
from clew.gate.ports.sandbox import MIB, ExecRequest, ExecResult, Profile, SandboxBackend

_REPORT = ".clew-run/report.jsonl"
_REPORT_LIMIT = 16 * MIB
_LISTED = 500
_TAIL = 20_000
_BAD = ("failed", "error", "interrupted")
_ORDER = (*_BAD, "passed", "skipped")
_OPTIONS = ("-q", "--tb=short", "-p", "no:cacheprovider", "-p", "no:randomly", "-p", "no:random_order")
LIMITS = Profile(workspace=1024 * MIB)
"""Wall 30 s, CPU 20 s, 512 MiB, 32 processes, 512 files, 1 MiB per stream."""


class Task(Payload, frozen=True, kw_only=True):
    """``target``: a test file, a folder, or a file under test (then the tests that are named after it, else all);
    ``tests``: ids. ``mustPass``: fail with ``TestFailure`` unless tests ran and all passed. ``timeout``: seconds."""

    mode: Literal["execute"] = "execute"
    target: str = ""
    tests: tuple[str, ...] = ()
    must_pass: bool = msgspec.field(default=False, name="mustPass")
    timeout: Annotated[float, msgspec.Meta(gt=0, le=3600)] = LIMITS.wall_s


class Ran(msgspec.Struct, frozen=True, kw_only=True):
    """``status`` is the sandbox's: ``OK`` means that pytest ended by itself, with ``rc``. ``ok``: tests ran, and all passed."""

    method: str = OFFLINE
    status: str
    rc: int | None
    reason: str
    ok: bool
    counts: dict[str, int]
    tests: list[Json]
    """``{id, outcome, ms, message, detail}``; the bad ones first, 500 at most."""
    stdout: str
    stderr: str
    dropped: dict[str, int]
    """Characters of each stream that are not here."""
    duration_ms: int
    cmd: list[str]
    enforced: dict[str, str]


async def work(payload: Json, seat: Seat) -> Json:
    """Raises Failure: ``TestFailure`` where success was demanded, ``no_pytest``, ``no_repository``, ``interpreter``."""
    wanted = understood(Task, payload)
    ran = await seat.do("execute", execute, payload)
    if wanted.must_pass and not ran["ok"]:
        raise Failure(_failure(ran), code="TestFailure", details=ran)
    return ran


async def execute(backend: SandboxBackend, payload: Json) -> Json:
    """The job: run the tests once on a copy."""
    wanted = understood(Task, payload)
    limits = msgspec.structs.replace(LIMITS, wall_s=wanted.timeout, cpu_s=max(LIMITS.cpu_s, wanted.timeout))
    async with opened(backend, wanted, limits, (str(workspace.RUNNER),)) as (sandbox, interpreter):
        sandbox.put(_REPORT, b"")
        start = (interpreter.executable, "-s", "-B", str(workspace.RUNNER / "plain.py"), f"{ROOT}/{_REPORT}")
        argv = (*start, *_OPTIONS, "--", *_chosen(wanted))
        env = {**workspace.environment(), "PYTHONPATH": python_path(interpreter)}
        done = await sandbox.execute(ExecRequest(argv=argv, cwd=ROOT, env=env))
        try:
            notes = sandbox.get(_REPORT, _REPORT_LIMIT)
        except UsageError:
            notes = b""
    return msgspec.to_builtins(_ran(done, _tests(notes)))


def _chosen(wanted: Task) -> list[str]:
    """Paths and ids for pytest; none for all."""
    for test in wanted.tests:
        placed(test.partition("::")[0])
    if wanted.tests or not wanted.target:
        return list(wanted.tests)
    target = placed(wanted.target)
    if not target.endswith(".py") or not editable(target):
        return [target]
    stem = PurePosixPath(target).stem
    named = (f"test_{stem}.py", f"{stem}_test.py")
    return [name for name in python_files(wanted) if PurePosixPath(name).name in named]


def _tests(notes: bytes) -> list[Json]:
    """The last word on each test; one that began and did not end was interrupted. Tests may have written what they like."""
    found: dict[str, Json] = {}
    for line in notes.splitlines():
        try:
            note = msgspec.json.decode(line, type=_Note)
        except msgspec.DecodeError:
            continue
        if note.outcome == "no_pytest":
            hint = "install pytest there, or name another interpreter with python=…"
            raise Failure(note.message, code="no_pytest", hint=hint)
        outcome = "interrupted" if note.outcome == "started" else note.outcome
        before = found.get(note.id, {}).get("outcome")
        if outcome in _ORDER and (before not in _BAD or before == "interrupted"):
            found[note.id] = {**msgspec.to_builtins(note), "outcome": outcome}
    return sorted(found.values(), key=lambda test: (_ORDER.index(test["outcome"]), test["id"]))


class _Note(msgspec.Struct, frozen=True):
    id: str
    outcome: str
    ms: int = 0
    message: str = ""
    detail: str = ""


def _ran(done: ExecResult, tests: list[Json]) -> Ran:
    outcomes = [test["outcome"] for test in tests]
    counts = {outcome: outcomes.count(outcome) for outcome in _ORDER if outcome in outcomes}
    out, err = (stream.decode("utf-8", "replace") for stream in (done.stdout, done.stderr))
    return Ran(
        status=done.status,
        rc=done.rc,
        reason=done.reason,
        ok=done.status == "OK" and done.rc == 0 and counts.get("passed", 0) > 0 and not set(outcomes) & set(_BAD),
        counts=counts,
        tests=tests[:_LISTED],
        stdout=out[-_TAIL:],
        stderr=err[-_TAIL:],
        dropped={
            "stdout": done.stdout_dropped + max(0, len(out) - _TAIL),
            "stderr": done.stderr_dropped + max(0, len(err) - _TAIL),
        },
        duration_ms=done.duration_ms,
        cmd=list(done.cmd),
        enforced=done.enforced,
    )


def failing(ran: Json) -> list[Json]:
    """The tests of a result that did not pass."""
    return [test for test in ran["tests"] if test["outcome"] in _BAD]


def error_log(ran: Json) -> str:
    """What a result says of its failures: the tests' own words, else the end of the output."""
    told = [f"FAILED {test['id']}\n{test['detail'] or test['message']}" for test in failing(ran)[:5]]
    rest = (ran["stdout"] + ran["stderr"])[-4000:]
    ended = "" if ran["status"] == "OK" else f"\n{ran['status']}: {ran['reason']}"
    return ("\n\n".join(told) or rest) + ended


def _failure(ran: Json) -> str:
    bad: list[Any] = failing(ran)
    if ran["status"] != "OK":
        return f"the tests did not end: {ran['status']} {ran['reason']}".strip()
    if not bad:
        return f"no test passed (pytest ended with {ran['rc']})"
    names = ", ".join(test["id"] for test in bad[:3])
    return f"{len(bad)} tests do not pass: {names}{' …' if len(bad) > 3 else ''}"
