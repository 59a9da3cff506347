"""What a repair does to the world, each with JSON in and JSON out: a body makes each of them one effect.

    run_suite     which tests fail, on which interpreter
    locate        which lines the failing tests run, ranked by suspicion
    evaluate      judge one batch of candidates
    verify        the whole suite on the tree changed by one candidate, and the diff
    confirm       the same with any edits
    apply_change  write the change of one file into the user's tree; only on request

Each opens a fresh sandbox, so any of them may be repeated. They check that the repository is still the one that
was looked at first.
"""

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from clew.agents.code import interpreter as interpreters
from clew.agents.code import runs, sessions, workspace
from clew.agents.code.diff import unified
from clew.agents.code.edits import applied, changes, composed, of_file
from clew.agents.code.localise import Spectrum, Suspect, rank
from clew.agents.code.mutate import Candidate, candidates, trust
from clew.agents.code.ranges import packed, unpacked
from clew.agents.code.records import Batched, Change, Edit, Located, Request, Suite
from clew.agents.code.runner.scope import editable, split_node_id
from clew.agents.code.runs import FAILING
from clew.agents.code.signs import Told
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
        **sessions.counts(session),
        slowest=max((t.took for t in session.tests if t.outcome == "passed"), default=0.0),
        seconds=sessions.seconds(session),
        seconds_passed=round(sum(t.took for t in session.tests if t.outcome == "passed"), 3),
        messages={t.id: t.message for t in failing[:20]},
        hanging=[t.id for t in failing if t.outcome == "timeout"],
        pytest=session.version,
        **settings,
    )
    return msgspec.to_builtins(suite)


async def locate(
    backend: SandboxBackend, request: dict[str, Any], suite: dict[str, Any], edits: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    """Run the suite again with line coverage, on the tree with the ``edits``, and rank the lines.

    A failing test that runs no code that may be edited, or that passes this time, is set aside: no change of the code
    could be judged by it. Targets come with those first that run the fewest lines, and those last that never ended.
    """
    wanted, known = msgspec.convert(request, Request), msgspec.convert(suite, Suite)
    made = msgspec.convert(edits or [], list[Edit])
    repo = _unchanged(known)
    session = await runs.traced_session(backend, wanted, (repo, known.interpreter), known, _changed(repo, made))
    spectrum = session.coverage or Spectrum({}, [])
    test_files = frozenset(runs.file_of(t) for t in session.tests if t.written)
    spectrum = Spectrum({f: ls for f, ls in spectrum.lines.items() if editable(f, test_files)}, spectrum.groups)
    breadth = Counter(i for lines in spectrum.lines.values() for g in lines.values() for i in spectrum.groups[g][0])
    names = set(known.failing)
    again = [i for i, t in enumerate(session.tests) if t.id in names and t.outcome in FAILING]
    reasons = {t.id: sessions.why_not(t, breadth[i] > 0) for i, t in enumerate(session.tests)}
    targets = [i for i in again if not reasons[session.tests[i].id]]
    hanging = {i for i in targets if session.tests[i].outcome == "timeout"}
    targets.sort(key=lambda i: (i in hanging, breadth[i], i))
    chosen = {session.tests[i].id for i in targets}
    frames = [session.tests[i].frames for i in targets]
    suspects = rank(spectrum, frames, targets)[: wanted.lines]
    groups, hits, suspects = sessions.compact(suspects, spectrum, targets)
    located = Located(
        targets=[session.tests[i].id for i in targets],
        set_aside={name: reasons.get(name) or "it was not run again" for name in sorted(names - chosen)},
        tests=[t.id for t in session.tests],
        groups=groups,
        suspects=suspects,
        import_lines={f: packed(lines) for f, lines in session.import_lines.items() if f in spectrum.lines},
        files=sorted(test_files),
        target_seconds=sum(runs.target_time(session.tests[i], known) for i in targets)
        + sessions.slowest(session, known),
        seconds=sessions.seconds(session),
        candidates=0,
        hits=hits,
        whole=any(len(unpacked(hit)) == len(targets) for hit in hits),
        hanging=len(hanging),
        edits=made,
        told=sessions.told(session, targets, frozenset(spectrum.lines)),
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
    """Judge the candidates of ranks ``batch = {start, count}``: ``{verdicts, seconds, repairs}``.

    ``misses`` of a batch: how many targets a candidate may leave failing before it is given up; with 1, the default,
    nothing passes that does not repair all of them. ``repairs`` tells of each candidate that passed, all or in part.
    Batch 0 also judges the unchanged code: when failing tests pass with it, they do not fail on their own (they depend on
    others before them). ``free`` are their numbers, and ``alone`` is false when that holds for all.
    """
    wanted, known = msgspec.convert(request, Request), msgspec.convert(suite, Suite)
    where = msgspec.convert(located, Located)
    repo = _unchanged(known)
    start, count, misses = batch["start"], batch["count"], batch.get("misses", 1)
    chosen = _candidates(repo, where)[start : start + count]
    entries = [runs.entry(candidate) for candidate in chosen]
    if start == 0 and entries:
        all_of_them = 1 if misses == 1 else len(where.targets) + 1
        same = {"text": "", "start": 0, "end": 0, "owner": None, "group": -1, "misses": all_of_them}
        entries.append({**entries[0], **same})
    spec = runs.batch_spec(wanted, known, where, entries, misses)
    answer = await runs.batch(backend, (repo, known.interpreter), wanted, spec, _changed(repo, where.edits))
    unchanged = answer.verdicts[len(chosen) :]
    repairs = [_repair(start + at, chosen[at], where, found) for at, found in _repaired(answer, len(chosen))]
    return {
        "verdicts": answer.verdicts[: len(chosen)],
        "seconds": answer.seconds,
        "repairs": repairs,
        "free": answer.repaired.get(str(len(chosen)), []),
        "alone": not {"passed", "regressed"} & set(unchanged),
    }


async def verify(
    backend: SandboxBackend, request: dict[str, Any], suite: dict[str, Any], located: dict[str, Any], chosen: int
) -> dict[str, Any]:
    """``confirm`` with the edits that were made already and candidate ``chosen`` (its rank)."""
    where = msgspec.convert(located, Located)
    repo = _unchanged(msgspec.convert(suite, Suite))
    candidate = _candidates(repo, where)[chosen]
    edits = composed(_originals(repo, [*where.edits, candidate]), where.edits, candidate)
    told = await confirm(backend, request, suite, located, msgspec.to_builtins(edits))
    line = next(
        (e.line for e in edits if e.file == candidate.path and e.operator == candidate.operator), candidate.line
    )
    return {**told, "file": candidate.path, "line": line, "operator": candidate.operator}


async def confirm(
    backend: SandboxBackend,
    request: dict[str, Any],
    suite: dict[str, Any],
    located: dict[str, Any],
    edits: list[dict[str, Any]],
) -> dict[str, Any]:
    """The whole suite with ``edits`` written into the tree.

    ``fixed``: every target passes and no test fails that did not fail before. ``better``: the same for some of the targets;
    ``remaining`` are the others.
    """
    wanted, known = msgspec.convert(request, Request), msgspec.convert(suite, Suite)
    where, made = msgspec.convert(located, Located), msgspec.convert(edits, list[Edit])
    repo = _unchanged(known)
    place, changed = (repo, known.interpreter), _changed(repo, made)
    session = await runs.suite_session(backend, wanted, place, runs.told(known), changed)
    failing = [t.id for t in session.tests if t.outcome in FAILING]
    allowed = {*where.set_aside, *known.others}
    passed = {t.id for t in session.tests if t.outcome == "passed"}
    remaining = [t for t in where.targets if t in failing or (split_node_id(t)[1] and t not in passed)]
    counts = sessions.counts(session)
    good = session.complete and set(failing) <= {*allowed, *remaining} and counts["passed"] > known.passed
    originals = _originals(repo, made)
    first = made[0] if made else None
    files = changes(originals, made)
    return {
        "fixed": good and not remaining,
        "better": good and len(remaining) < len(where.targets),
        "remaining": remaining,
        "diff": "".join(unified(c.file, originals[c.file], changed[c.file]) for c in files),
        "file": first.file if first else "",
        "line": first.line if first else 0,
        "operator": first.operator if first else "",
        "tests_after": counts,
        "failing": failing[:20],
        "change": msgspec.to_builtins(files[0]) if files else None,
        "changes": msgspec.to_builtins(files),
        "edits": msgspec.to_builtins(made),
        "seconds": sessions.seconds(session),
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


def _chosen(node_id: str, wanted: tuple[str, ...]) -> bool:
    return not wanted or any(
        node_id == w or node_id.startswith((w + "::", w + "[", w.rstrip("/") + "/")) for w in wanted
    )


def _repaired(answer: Batched, count: int) -> list[tuple[int, list[int]]]:
    return [(at, answer.repaired[str(at)]) for at in range(count) if str(at) in answer.repaired]


def _repair(rank: int, candidate: Candidate, located: Located, found: list[int]) -> dict[str, Any]:
    """What the search must know of a candidate that repairs ``found``. ``near``: the targets that run the changed line."""
    near = unpacked(located.hits[candidate.group]) if candidate.group >= 0 else list(range(len(located.targets)))
    return {
        "rank": rank,
        "repaired": found,
        "near": near,
        "file": candidate.path,
        "line": candidate.line,
        "operator": candidate.operator,
        "score": round(candidate.score * trust(candidate), 6),
        "sure": trust(candidate) == 1.0,
    }


def _originals(repo: Path, edits: Sequence[Edit | Candidate]) -> dict[str, bytes]:
    names = dict.fromkeys(edit.file if isinstance(edit, Edit) else edit.path for edit in edits)
    return {name: workspace.inside(repo, name).read_bytes() for name in names}


def _changed(repo: Path, edits: Sequence[Edit]) -> dict[str, bytes]:
    """The files that the edits change, as they are then."""
    return {name: applied(data, of_file(edits, name)) for name, data in _originals(repo, edits).items()}


def _candidates(repo: Path, located: Located) -> list[Candidate]:
    names = frozenset(suspect.file for suspect in located.suspects)
    files = workspace.sources(repo, names, frozenset(located.files))
    files.update({name: data for name, data in _changed(repo, located.edits).items() if name in names})
    key = msgspec.json.encode((located.suspects, located.import_lines, located.told))
    return _candidates_of(tuple(sorted(files.items())), key)


@lru_cache(maxsize=4)
def _candidates_of(files: tuple[tuple[str, bytes], ...], key: bytes) -> list[Candidate]:
    suspects, import_lines, told = msgspec.json.decode(key, type=tuple[list[Suspect], dict[str, str], list[Told]])
    return candidates(dict(files), suspects, {file: unpacked(text) for file, text in import_lines.items()}, told)
