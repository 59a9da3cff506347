"""TestGen: tests of a file that run, with edge cases (K6).

Offline they come from documented examples, which say what ought to be, and from observed behaviour, which says what is: the latter
are characterisation tests (M. Feathers, "Working Effectively with Legacy Code", 2004) and are marked as such. With a model they
are the model's, corrected by what they said when they were run.
"""

from pathlib import PurePosixPath
from typing import Annotated, Literal

import msgspec

from clew.agents.code import interpreter as interpreters
from clew.agents.code import workspace
from clew.agents.code.roles import testexec
from clew.agents.code.roles.seat import MODEL, OFFLINE, Json, Payload, Question, Seat, understood
from clew.agents.code.roles.syntax import checked
from clew.agents.code.roles.testfile import Seen, chosen, rendered
from clew.agents.code.roles.tree import delta, placed, python_files, read
from clew.core.errors import Failure
from clew.gate.ports.sandbox import SandboxBackend

_FUNCTIONS = 40
_WALL = 60.0
_EACH = 10.0
_ANSWER: Json = {
    "type": "object",
    "properties": {"content": {"type": "string", "minLength": 1}, "summary": {"type": "string"}},
    "required": ["content", "summary"],
    "additionalProperties": False,
}


class Task(Payload, frozen=True, kw_only=True):
    """``target``: the file under test; ``function``: one function of it, all public ones by default."""

    target: Annotated[str, msgspec.Meta(min_length=1)]
    mode: Literal["generate"] = "generate"
    function: str = ""


class Generated(msgspec.Struct, frozen=True, kw_only=True):
    """``path``: the test file; ``ok``: all its tests pass; ``documented`` and ``observed``: how many cases came from where;
    ``skipped``: functions that could not be called, and why."""

    method: str
    target: str
    path: str
    ok: bool
    counts: dict[str, int]
    documented: int
    observed: int
    skipped: list[dict[str, str]]
    delta: Json
    changes: dict[str, str]
    failing: list[Json]


async def work(payload: Json, seat: Seat) -> Json:
    """Raises Failure: ``not_found``, ``not_importable``, ``no_function``, ``offline_cannot`` (nothing could be observed),
    ``no_tests`` (a model's cannot be collected), and what TestExec and the model fail with."""
    wanted = understood(Task, payload)
    target = placed(wanted.target)
    text = (await seat.do("read", read, payload, [target]))[target]
    if text is None or not target.endswith(".py"):
        raise Failure(f"there is no Python file {target}", code="not_found")
    seen = msgspec.convert(await seat.do("observe", observe, payload), Seen)
    path = await _free_path(wanted, target, seat)
    if wanted.model:
        return await _asked(wanted, path, (text, seen), seat)
    if seen.error:
        raise Failure(f"{target} cannot be imported: {seen.error}", code="not_importable")
    if wanted.function and wanted.function not in seen.functions:
        raise Failure(f"{target} has no function {wanted.function!r}", code="no_function")
    return await _offline(wanted, path, seen, seat)


async def observe(backend: SandboxBackend, payload: Json) -> Json:
    """The job: what the functions of the target do, seen in the sandbox."""
    wanted = understood(Task, payload)
    repo = workspace.repository(wanted.repo)
    interpreter = await interpreters.inspect(backend, repo, wanted.python)
    module = module_of(placed(wanted.target), interpreter.path)
    functions = [wanted.function] if wanted.function else []
    spec: Json = {"module": module, "functions": functions, "wall": _WALL, "each": _EACH}
    changed = {placed(path): text.encode() for path, text in wanted.changes.items()}
    told = await workspace.run(backend, repo, interpreter, workspace.Task("observe", spec, _WALL + 40), changed)
    told["functions"] = dict(list(told["functions"].items())[:_FUNCTIONS])
    return {**told, "module": module}


def module_of(path: str, roots: tuple[str, ...]) -> str:
    """The name by which a file is imported, from the first import root that holds it."""
    for root in roots:
        inside = path if root == "." else path.removeprefix(f"{root}/")
        if root == "." or inside != path:
            parts = inside.removesuffix(".py").removesuffix("/__init__").split("/")
            return ".".join(parts)
    return PurePosixPath(path).stem


async def _free_path(wanted: Task, target: str, seat: Seat) -> str:
    """Where the tests go: beside other tests, under a name that is not taken."""
    names = await seat.do("list", _names, msgspec.to_builtins(wanted))
    folder = "tests/" if any(name.startswith("tests/") for name in names) else ""
    stem = PurePosixPath(target).stem if PurePosixPath(target).stem != "__init__" else PurePosixPath(target).parent.name
    base = f"{folder}test_{stem.strip('_')}{f'_{wanted.function}' if wanted.function else ''}_generated"
    return next(path for n in range(1, 1000) if (path := f"{base}{'' if n == 1 else n}.py") not in names)


def _names(_backend: SandboxBackend, payload: Json) -> list[str]:
    return python_files(understood(Payload, payload))


# -- offline -----------------------------------------------------------------------------------------------------------


async def _offline(wanted: Task, path: str, seen: Seen, seat: Seat) -> Json:
    functions = {name: chosen(one, seen.exported) for name, one in seen.functions.items()}
    if not any(one.examples or one.cases for one in functions.values()):
        why = "; ".join(f"{name}: {one.skipped or 'no case could be written down'}" for name, one in functions.items())
        raise Failure(
            f"nothing of {wanted.target} could be observed: {why or 'it has no public functions'}",
            code="offline_cannot",
            hint="name a model",
        )
    text, ran = await _tried(wanted, path, msgspec.structs.replace(seen, functions=functions), seat)
    unsteady = {
        test["id"].partition("::test_")[2].partition("_observed")[0]
        for test in testexec.failing(ran)
        if "_observed" in test["id"]
    }
    if unsteady:  # what was observed does not hold when it is run elsewhere
        functions = {
            name: msgspec.structs.replace(one, cases=[], skipped="it does not do the same every time")
            if name in unsteady
            else one
            for name, one in functions.items()
        }
        text, ran = await _tried(wanted, path, msgspec.structs.replace(seen, functions=functions), seat)
    documented = sum(len(one.examples) for one in functions.values())
    observed = sum(len(one.cases) for one in functions.values())
    skipped = [{"function": name, "why": one.skipped} for name, one in functions.items() if one.skipped]
    summary = f"{documented} documented and {observed} observed cases of {wanted.target}"
    return _told(
        wanted, path, (text, summary), ran, {"documented": documented, "observed": observed, "skipped": skipped}
    )


async def _tried(wanted: Task, path: str, seen: Seen, seat: Seat) -> tuple[str, Json]:
    text = rendered(seen)
    return text, await seat.do("execute", testexec.execute, _run(wanted, path, text))


def _run(wanted: Task, path: str, text: str) -> Json:
    return {
        "repo": wanted.repo,
        "python": wanted.python,
        "changes": {**wanted.changes, path: text},
        "target": path,
    }


def _told(wanted: Task, path: str, said: tuple[str, str], ran: Json, counted: Json) -> Json:
    text, summary = said
    told = Generated(
        method=MODEL if wanted.model else OFFLINE,
        target=wanted.target,
        path=path,
        ok=ran["ok"],
        counts=ran["counts"],
        delta=delta(path, None, text, summary),
        changes={**wanted.changes, path: text},
        failing=testexec.failing(ran)[:20],
        **counted,
    )
    return msgspec.to_builtins(told)


# -- with a model ------------------------------------------------------------------------------------------------------


async def _asked(wanted: Task, path: str, known: tuple[str, Seen], seat: Seat) -> Json:
    text, seen = known
    observed = {
        name: {
            "cases": [c.arguments + " -> " + (c.raises or c.result or "") for c in chosen(one, seen.exported).cases],
            "skipped": one.skipped,
        }
        for name, one in seen.functions.items()
    }
    about: Json = {
        "Task": f"Write tests for {wanted.function or 'the public functions'} of {wanted.target}.",
        "Imported as": seen.module,
        "Goes to": path,
        "File": text,
        "Observed": observed,
    }

    async def take(answer: Json, left: int) -> Json:
        await checked(seat, wanted, {path: answer["content"]})
        ran = await seat.do("execute", testexec.execute, _run(wanted, path, answer["content"]))
        _run_at_all(ran)
        if left and not ran["ok"]:
            log = testexec.error_log(ran)
            wrong = f"these tests fail; mend those that are wrong, keep those that show a fault:\n{log}"
            raise Failure(wrong, code="tests_fail")
        counted: Json = {"documented": 0, "observed": 0, "skipped": []}
        return _told(wanted, path, (answer["content"], answer["summary"]), ran, counted)

    mendable = ("invalid_code", "no_tests", "tests_fail")
    question = Question(agent="TestGen", prompt="testgen", about=about, schema=_ANSWER, mendable=mendable)
    return await seat.ask(wanted, question, take)


def _run_at_all(ran: Json) -> None:
    if not ran["counts"] or set(ran["counts"]) == {"error"}:
        raise Failure(f"the tests do not run: {testexec.error_log(ran)}", code="no_tests")
