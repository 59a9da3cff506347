"""What a repair does to the world, each with JSON in and JSON out: a body makes each of them one effect.

    run_suite     which tests fail, on which interpreter
    locate        which lines the failing tests run, ranked by suspicion
    evaluate      judge one batch of candidates
    verify        the whole suite on the changed tree, and the diff
    apply_change  write the change into the user's tree; only on request

Each opens a fresh sandbox, so any of them may be repeated. They check that the repository is still the one that
was looked at first.
"""

from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from clew.agents.code import interpreter as interpreters
from clew.agents.code import runs, workspace
from clew.agents.code.diff import unified
from clew.agents.code.localise import Spectrum, Suspect, rank
from clew.agents.code.mutate import Candidate, apply, candidates
from clew.agents.code.ranges import packed, unpacked
from clew.agents.code.records import Change, Located, Request, Session, Suite, Test
from clew.agents.code.runner.scope import editable, split_node_id
from clew.agents.code.runs import FAILING
from clew.core.errors import Failure
from clew.gate.ports.sandbox import SandboxBackend


async def run_suite(backend: SandboxBackend, request: dict[str, Any]) -> dict[str, Any]:
    """Run the whole suite as it is. Raises what ``runs.first_session`` does."""
    wanted = msgspec.convert(request, Request)
    repo = workspace.repository(wanted.repo)
    interpreter = await interpreters.inspect(backend, repo, wanted.python)
    session, settings = await runs.first_session(backend, wanted, (repo, interpreter))
    unknown = [name for name in wanted.tests if not any(_chosen(t.id, (name,)) for t in session.tests)]
    if unknown:
        raise Failure(f"tests: {unknown[0]}: no test of {repo} has this id or file", code="no_such_test")
    failing = [t for t in session.tests if t.outcome in FAILING]
    failing_ids = [t.id for t in failing if _chosen(t.id, wanted.tests)]
    suite = Suite(
        repo=str(repo),
        digest=workspace.digest(repo),
        interpreter=interpreter,
        rootdir=session.rootdir,
        inifile=session.inifile,
        failing=failing_ids,
        others=[t.id for t in failing if not _chosen(t.id, wanted.tests)],
        **_counts(session),
        slowest=max((t.took for t in session.tests if t.outcome == "passed"), default=0.0),
        seconds=_seconds(session),
        seconds_passed=round(sum(t.took for t in session.tests if t.outcome == "passed"), 3),
        messages={t.id: t.message for t in failing[:20]},
        hanging=[t.id for t in failing if t.outcome == "timeout"],
        pytest=session.version,
        **settings,
    )
    return msgspec.to_builtins(suite)


async def locate(backend: SandboxBackend, request: dict[str, Any], suite: dict[str, Any]) -> dict[str, Any]:
    """Run the suite again with line coverage and rank the lines.

    A failing test that runs no code that may be edited, or that passes this time, is set aside: no change of the code
    could be judged by it.
    """
    wanted, known = msgspec.convert(request, Request), msgspec.convert(suite, Suite)
    repo = _unchanged(known)
    session = await runs.traced_session(backend, wanted, (repo, known.interpreter), known)
    spectrum = session.coverage or Spectrum({}, [])
    test_files = frozenset(runs.file_of(t) for t in session.tests if t.written)
    spectrum = Spectrum({f: ls for f, ls in spectrum.lines.items() if editable(f, test_files)}, spectrum.groups)
    covering = {i for lines in spectrum.lines.values() for g in lines.values() for i in spectrum.groups[g][0]}
    names = set(known.failing)
    again = [i for i, t in enumerate(session.tests) if t.id in names and t.outcome in FAILING]
    reasons = {t.id: _why_not(t, i in covering) for i, t in enumerate(session.tests)}
    targets = [i for i in again if not reasons[session.tests[i].id]]
    chosen = {session.tests[i].id for i in targets}
    frames = [session.tests[i].frames for i in targets]
    suspects = rank(spectrum, frames, targets)[: wanted.lines]
    groups, suspects = _compact(suspects, spectrum)
    located = Located(
        targets=[session.tests[i].id for i in targets],
        set_aside={name: reasons.get(name) or "it was not run again" for name in sorted(names - chosen)},
        tests=[t.id for t in session.tests],
        groups=groups,
        suspects=suspects,
        import_lines={f: packed(lines) for f, lines in session.import_lines.items() if f in spectrum.lines},
        files=sorted(test_files),
        target_seconds=sum(runs.target_time(session.tests[i], known) for i in targets) + _slowest(session, known),
        seconds=_seconds(session),
        candidates=0,
    )
    total = len(_candidates(repo, located))
    return msgspec.to_builtins(msgspec.structs.replace(located, candidates=total))


async def evaluate(
    backend: SandboxBackend,
    request: dict[str, Any],
    suite: dict[str, Any],
    located: dict[str, Any],
    batch: dict[str, int],
) -> dict[str, Any]:
    """Judge the candidates of ranks ``batch = {start, count}``: ``{verdicts, seconds}``.

    Batch 0 also judges the unchanged code; when the failing tests pass with it, they do not fail on their own (they depend
    on others before them), and ``alone`` is false: no verdict of this kind could be trusted.
    """
    wanted, known = msgspec.convert(request, Request), msgspec.convert(suite, Suite)
    where = msgspec.convert(located, Located)
    repo = _unchanged(known)
    start, count = batch["start"], batch["count"]
    chosen = _candidates(repo, where)[start : start + count]
    entries = [runs.entry(candidate) for candidate in chosen]
    if start == 0 and entries:
        entries.append({**entries[0], "text": "", "start": 0, "end": 0, "owner": None})
    spec = runs.batch_spec(wanted, known, where, entries)
    answer = await runs.batch(backend, (repo, known.interpreter), wanted, spec)
    verdicts = answer.verdicts[: len(chosen)]
    alone = not {"passed", "regressed"} & set(answer.verdicts[len(chosen) :])
    return {"verdicts": verdicts, "seconds": answer.seconds, "alone": alone}


async def verify(
    backend: SandboxBackend, request: dict[str, Any], suite: dict[str, Any], located: dict[str, Any], chosen: int
) -> dict[str, Any]:
    """The whole suite with candidate ``chosen`` (its rank) written into the tree.

    ``fixed``: every target passes and no test fails that did not fail before.
    """
    wanted, known = msgspec.convert(request, Request), msgspec.convert(suite, Suite)
    where = msgspec.convert(located, Located)
    repo = _unchanged(known)
    candidate = _candidates(repo, where)[chosen]
    before = (repo / candidate.path).read_bytes()
    after = apply(before, candidate)
    place = (repo, known.interpreter)
    session = await runs.suite_session(backend, wanted, place, runs.told(known), {candidate.path: after})
    failing = [t.id for t in session.tests if t.outcome in FAILING]
    allowed = {*where.set_aside, *known.others}
    passed = {t.id for t in session.tests if t.outcome == "passed"}
    targets_pass = all(t in passed or not split_node_id(t)[1] for t in where.targets)
    counts = _counts(session)
    fixed = session.complete and targets_pass and set(failing) <= allowed and counts["passed"] > known.passed
    return {
        "fixed": fixed,
        "diff": unified(candidate.path, before, after),
        "file": candidate.path,
        "line": candidate.line,
        "operator": candidate.operator,
        "tests_after": counts,
        "failing": failing[:20],
        "change": {
            "file": candidate.path,
            "start": candidate.start,
            "end": candidate.end,
            "text": candidate.text,
            "before": sha256(before).hexdigest(),
            "after": sha256(after).hexdigest(),
        },
        "seconds": _seconds(session),
    }


def apply_change(_backend: SandboxBackend, top: str, change: dict[str, Any]) -> dict[str, Any]:
    """Write a verified change into the user's own tree (``top``: its folder); only on request. Done twice, it changes nothing more.

    Raises Failure(code="repository_changed") when the file is neither as it was verified nor changed already.
    """
    edit = msgspec.convert(change, Change)
    repo = workspace.repository(top)
    target = workspace.inside(repo, edit.file)
    data = target.read_bytes()
    if sha256(data).hexdigest() != edit.after:
        after = data[: edit.start] + edit.text.encode() + data[edit.end :]
        if sha256(data).hexdigest() != edit.before or sha256(after).hexdigest() != edit.after:
            raise Failure(
                f"{target} was changed while the repair ran", code="repository_changed", hint="start a new run"
            )
        workspace.replace(target, after)
    return {"applied": edit.file}


def _unchanged(suite: Suite) -> Path:
    repo = workspace.repository(suite.repo)
    if workspace.digest(repo) != suite.digest:
        raise Failure(f"{repo} was changed while the repair ran", code="repository_changed", hint="start a new run")
    return repo


def _slowest(session: Session, suite: Suite) -> float:
    """Seconds of the slowest passing test that runs lines which the failing ones run, else of the slowest of all."""
    groups = session.coverage.groups if session.coverage else []
    near = [session.tests[i].took for _, passing in groups for i in passing]
    return min(max(near), suite.slowest) if near else suite.slowest


def _why_not(test: Test, runs_code: bool) -> str:
    """Why a failing test cannot tell good candidates from bad ones; empty when it can."""
    if test.outcome not in FAILING:
        return "it did not fail when it was run again"
    if test.missing:
        return f"the interpreter has no {test.missing}"
    if test.network:
        return "it asks for a network socket, which the sandbox refuses"
    if runs_code:
        return ""
    if test.collect:
        return f"it cannot be collected: {test.message}"
    return "it runs no code of the repository that may be edited, at least not in its own process"


def _counts(session: Session) -> dict[str, int]:
    outcomes = [test.outcome for test in session.tests]
    return {
        "passed": outcomes.count("passed"),
        "failed": sum(outcomes.count(outcome) for outcome in FAILING) + len(session.not_run),
        "skipped": outcomes.count("skipped"),
    }


def _seconds(session: Session) -> float:
    return round(sum(test.took for test in session.tests), 3)


def _chosen(node_id: str, wanted: tuple[str, ...]) -> bool:
    return not wanted or any(
        node_id == w or node_id.startswith((w + "::", w + "[", w.rstrip("/") + "/")) for w in wanted
    )


def _compact(suspects: list[Suspect], spectrum: Spectrum) -> tuple[list[str], list[Suspect]]:
    """Keep only the groups that are used, as ranges, and renumber."""
    numbers: dict[int, int] = {}
    groups: list[str] = []
    for suspect in suspects:
        if suspect.group not in numbers:
            numbers[suspect.group] = len(groups)
            groups.append(packed(spectrum.groups[suspect.group][1]))
    return groups, [msgspec.structs.replace(s, group=numbers[s.group]) for s in suspects]


def _candidates(repo: Path, located: Located) -> list[Candidate]:
    names = frozenset(suspect.file for suspect in located.suspects)
    files = workspace.sources(repo, names, frozenset(located.files))
    key = msgspec.json.encode((located.suspects, located.import_lines))
    return _candidates_of(tuple(sorted(files.items())), key)


@lru_cache(maxsize=4)
def _candidates_of(files: tuple[tuple[str, bytes], ...], key: bytes) -> list[Candidate]:
    suspects, import_lines = msgspec.json.decode(key, type=tuple[list[Suspect], dict[str, str]])
    return candidates(dict(files), suspects, {file: unpacked(text) for file, text in import_lines.items()})
