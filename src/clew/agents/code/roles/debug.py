"""Debug: from an error log to a diagnosis, the code it is about, and a small patch under which the tests were run again (K6).

Offline the patch is found by the search of ``clew.agents.code.repair``; with a model it is the model's.
"""

from functools import partial
from typing import Annotated, Any

import msgspec

from clew.agents.code import jobs, repair
from clew.agents.code.repair import Perform
from clew.agents.code.roles import testexec
from clew.agents.code.roles.codegen import edited
from clew.agents.code.roles.logs import Read
from clew.agents.code.roles.logs import read as read_log
from clew.agents.code.roles.retrieve import excerpts
from clew.agents.code.roles.seat import MODEL, OFFLINE, Json, Payload, Question, Seat, task_for, understood
from clew.agents.code.roles.syntax import checked
from clew.agents.code.roles.tree import copied, delta, placed, python_files, read, text_of
from clew.core.errors import Failure
from clew.gate.ports.sandbox import SandboxBackend

_MOST_TRIES = 6000
_MOST_CHANGES = 4
_LOG = 60_000
_EDITS: Json = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"old": {"type": "string", "minLength": 1}, "new": {"type": "string"}},
        "required": ["old", "new"],
        "additionalProperties": False,
    },
}
_SAID: Json = {name: {"type": "string"} for name in ("diagnosis", "target", "instructions")}


class Task(Payload, frozen=True, kw_only=True):
    """``errorLog``: what failed; empty to run the tests and see. ``patch``: look for one, not for the cause alone.
    ``tests``: ids that are to pass, all failing ones by default. ``timeLimit``: seconds of the search. ``handOn``: ask for what
    comes next, too: tests of what was mended, or the change where a cause was found and no patch wanted."""

    error_log: str = msgspec.field(default="", name="errorLog")
    target: str = ""
    tests: tuple[str, ...] = ()
    patch: bool = True
    time_limit: Annotated[float, msgspec.Meta(gt=0, le=3600)] = msgspec.field(default=120.0, name="timeLimit")
    hand_on: bool = msgspec.field(default=False, name="handOn")


class Debugged(msgspec.Struct, frozen=True, kw_only=True):
    """``diagnosis``: ``{summary, target, instructions, errors, places, suspects}``. ``fixed``: under the changes the tests pass;
    ``tests``: counts before and after. ``reason``: why there is no patch."""

    method: str
    diagnosis: Json
    retrieved: list[Json]
    fixed: bool = False
    reason: str = ""
    tests: Json = {}
    delta: Json | None = None
    changes: dict[str, str] = {}
    new_tasks: list[Json] = msgspec.field(default_factory=list[Json], name="newTasks")


async def work(payload: Json, seat: Seat) -> Json:
    """Raises Failure: those of TestExec, of the repair's jobs, and what the model fails with."""
    wanted = understood(Task, payload)
    log, before = wanted.error_log[-_LOG:], dict[str, int]()
    if not log:
        ran = await seat.do("execute", testexec.execute, _suite(wanted, wanted.changes))
        log, before = testexec.error_log(ran), ran["counts"]
        if ran["ok"]:
            diagnosis = {"summary": "no test fails"}
            told = Debugged(method=OFFLINE, diagnosis=diagnosis, retrieved=[], fixed=True, reason="nothing")
            return msgspec.to_builtins(told)
    seen = await seat.do("retrieve", retrieve, {**payload, "errorLog": log})
    diagnosis = {
        "summary": seen["summary"],
        "target": wanted.target,
        "errors": seen["errors"],
        "places": seen["places"],
    }
    base = Debugged(
        method=OFFLINE,
        diagnosis=diagnosis,
        retrieved=seen["retrieved"],
        tests={"before": before},
        changes=wanted.changes,
    )
    if wanted.model:
        told = await _asked(wanted, log, base, seat)
    elif wanted.patch:
        told = await _searched(wanted, base, seat)
    else:
        told = base
    if wanted.hand_on:
        told = msgspec.structs.replace(told, new_tasks=_next(wanted, told, log))
    return msgspec.to_builtins(told)


def _next(wanted: Task, told: Debugged, log: str) -> list[Json]:
    said = told.diagnosis
    if told.fixed and told.delta:
        known = msgspec.structs.replace(wanted, changes=told.changes)
        mended = [path for path, text in told.changes.items() if wanted.changes.get(path) != text]
        return [task_for("TestGen", known, target=path) for path in mended]
    if not wanted.patch and said.get("instructions"):
        material = {"Diagnosis": said["summary"], "Tests": log}
        return [
            task_for(
                "CodeGen",
                wanted,
                action="modify",
                target=said["target"],
                instructions=said["instructions"],
                material=material,
            )
        ]
    return []


def retrieve(_backend: SandboxBackend, payload: Json) -> Json:
    """The job: what the log names, and the code around it."""
    wanted = understood(Task, payload)
    files = python_files(wanted)
    found: Read = read_log(wanted.error_log, files)
    target = placed(wanted.target) if wanted.target else ""
    shown = excerpts(found, target, files, lambda path: _readable(wanted, path))
    return {"summary": found.summary, **msgspec.to_builtins(found), "retrieved": msgspec.to_builtins(shown)}


def _readable(wanted: Payload, path: str) -> str | None:
    try:
        return text_of(wanted, path)
    except Failure:
        return None


def _suite(wanted: Task, changes: dict[str, str]) -> Json:
    return {"repo": wanted.repo, "python": wanted.python, "changes": changes, "tests": list(wanted.tests)}


# -- with a model ------------------------------------------------------------------------------------------------------


async def _asked(wanted: Task, log: str, base: Debugged, seat: Seat) -> Debugged:
    names = ["diagnosis", "target", "instructions", *(["edits"] if wanted.patch else [])]
    schema: Json = {
        "type": "object",
        "properties": {**_SAID, **({"edits": _EDITS} if wanted.patch else {})},
        "required": names,
        "additionalProperties": False,
    }
    task = "Find the cause, and give a patch." if wanted.patch else "Find the cause. No patch is needed."
    code = "\n\n".join(f"### {e['path']}:{e['start']}-{e['end']}\n{e['code']}" for e in base.retrieved)
    question = Question(
        agent="Debug",
        prompt="debug",
        about={"Task": task, "File in question": wanted.target, "Tests": log, "Code": code},
        schema=schema,
        mendable=("misfit", "invalid_code", "no_change", "not_found", "outside_root", "forbidden_path"),
    )

    async def take(answer: Json, _left: int) -> Debugged:
        return await _taken(wanted, answer, base, seat)

    return await seat.ask(wanted, question, take)


async def _taken(wanted: Task, answer: Json, base: Debugged, seat: Seat) -> Debugged:
    target = placed(answer["target"])
    said = {"summary": answer["diagnosis"], "target": target, "instructions": answer["instructions"]}
    told = msgspec.structs.replace(base, method=MODEL, diagnosis={**base.diagnosis, **said})
    before = (await seat.do("read", read, _suite(wanted, wanted.changes), [target]))[target]
    if before is None:
        raise Failure(f"there is no file {target}", code="not_found")
    if not wanted.patch:
        return told
    after = edited(before, {"edits": answer["edits"]})
    await checked(seat, wanted, {target: after})
    changes = {**wanted.changes, target: after}
    ran = await seat.do("execute", testexec.execute, _suite(wanted, changes))
    return msgspec.structs.replace(
        told,
        fixed=ran["ok"],
        reason="" if ran["ok"] else "tests fail under the patch too",
        tests={**base.tests, "after": ran["counts"]},
        delta=delta(target, before, after, answer["diagnosis"]),
        changes=changes,
    )


# -- offline -----------------------------------------------------------------------------------------------------------


async def _searched(wanted: Task, base: Debugged, seat: Seat) -> Debugged:
    """Each batch of the search is an effect; over changes, which are no files, the whole search is one."""
    request: Json = {"repo": wanted.repo, "tests": list(wanted.tests)}
    request |= {"python": wanted.python} if wanted.python else {}
    limits = {"max_tries": _MOST_TRIES, "time_limit": wanted.time_limit, "changes": _MOST_CHANGES}
    if wanted.changes:
        found = await seat.do("repair", _on_copy, msgspec.to_builtins(wanted), request, limits)
    else:
        found = await mend(partial(_perform, seat), request, limits)
    diagnosis = {**base.diagnosis, "suspects": found["suspects"]}
    told = msgspec.structs.replace(base, diagnosis=diagnosis, reason=found["reason"], tests=found["tests"])
    verified: Json | None = found["verified"]
    if verified is None:
        return msgspec.structs.replace(told, fixed=found["reason"] == "nothing")
    edits = {change["file"]: change for change in verified["changes"]}
    texts = await seat.do("read", read, _suite(wanted, wanted.changes), [*edits])
    changes = {path: _edited(texts[path] or "", change) for path, change in edits.items()}
    summary = ", ".join(f"{one['operator']} at {one['file']}:{one['line']}" for one in verified["edits"])
    said = {"summary": f"{base.diagnosis['summary']}; mended by {summary}", "target": verified["file"]}
    deltas = [delta(path, texts[path], after, summary) for path, after in changes.items()]
    several = {"doc": None, "diff": "".join(one["diff"] for one in deltas), "summary": summary}
    return msgspec.structs.replace(
        told,
        fixed=True,
        reason="",
        diagnosis={**diagnosis, **said},
        delta=deltas[0] if len(deltas) == 1 else several,
        changes={**wanted.changes, **changes},
    )


def _edited(text: str, change: Json) -> str:
    data = text.encode()
    return (data[: change["start"]] + change["text"].encode() + data[change["end"] :]).decode()


async def _perform(seat: Seat, name: str, *args: Any) -> Any:
    return await seat.do(name, _JOBS[name], *args)


async def mend(perform: Perform, request: Json, limits: Json) -> Json:
    """``{verified, reason, suspects, tests}``: localise and search, over any way of calling the jobs."""
    suite = await perform("run_suite", request)
    tests: Json = {"before": repair.counts(suite)}
    if not suite["failing"]:
        return {"verified": None, "reason": "nothing", "suspects": [], "tests": tests}
    located = await perform("locate", request, suite)
    found = await repair.search(perform, request, suite, located, limits)
    if found["verified"]:
        tests["after"] = found["verified"]["tests_after"]
    return {
        "verified": found["verified"],
        "reason": found["reason"],
        "suspects": repair.suspects(located),
        "tests": tests,
    }


_JOBS: dict[str, Any] = {
    "run_suite": jobs.run_suite,
    "locate": jobs.locate,
    "evaluate": jobs.evaluate,
    "verify": jobs.verify,
    "confirm": jobs.confirm,
}


async def _on_copy(backend: SandboxBackend, payload: Json, request: Json, limits: Json) -> Json:
    """The job: the whole search, on a folder with the changes in it."""
    wanted = understood(Payload, payload)
    async with copied(wanted) as copy:

        async def perform(name: str, *args: Any) -> Any:
            return await partial(_JOBS[name], backend)(*args)

        return await mend(perform, {**request, "repo": copy.repo, "python": copy.python}, limits)
