"""Bodies of fix-failing-test: thin, because what they do is in ``clew.agents.code``.

Everything that touches the world is one of six effects: ``run_suite``, ``locate``, ``evaluate`` (one per batch, so that a
run that is killed goes on with the next batch), ``verify``, ``confirm`` and ``apply_change``. All of them are safe to repeat.
"""

from functools import partial
from typing import Any

from clew.agents.code import jobs, repair
from clew.manifest.quantities import milliseconds
from clew.sandbox.default import default

MAX_TRIES = 6000
MAX_CHANGES = 4
TIME_LIMIT = "10m"
TEST_TIMEOUT = "5s"
REASONS = {
    "exhausted": "every candidate was tried",
    "tries": "the limit of tries was reached",
    "time": "the time limit was reached",
    "refused": "candidates that passed the failing tests broke others when the whole suite ran",
    "order_dependent": "the failing tests pass when they run on their own, so candidates cannot be judged by them",
    "stuck": "batches could not be judged in their time",
    "no_target": "there is no failing test that a repair could be judged by",
    "unconfirmed": "the repair passed once, but not when everything was run again",
}


async def perform(ctx: Any, name: str, *args: Any) -> Any:
    """One job as one recorded effect."""
    job = getattr(jobs, name)
    return await ctx.effect(name, partial(job, default()), *args, repeat_safe=True)


def read_request(given: dict[str, Any], ctx: Any) -> dict[str, Any]:
    """Split the input into what the jobs are asked and what bounds the search."""
    request = {key: given[key] for key in ("repo", "python", "tests") if given.get(key)}
    request["test_timeout"] = milliseconds(given.get("test_timeout", TEST_TIMEOUT)) / 1000
    limits = {
        "max_tries": given.get("max_tries", MAX_TRIES),
        "time_limit": milliseconds(given.get("time_limit", TIME_LIMIT)) / 1000,
        "changes": given.get("max_changes", MAX_CHANGES),
    }
    return {"request": request, "limits": limits, "apply": bool(given.get("apply"))}


async def run_tests(given: dict[str, Any], ctx: Any) -> dict[str, Any]:
    suite = await perform(ctx, "run_suite", given["request"])
    return {**given, "suite": suite}


def anything_failing(given: dict[str, Any], ctx: Any) -> dict[str, Any]:
    suite = given["suite"]
    if suite["failing"]:
        return {**given, "route": "failing"}
    return {"route": "nothing", "diff": "", "tests_before": repair.counts(suite), "message": "no test fails"}


async def localise(given: dict[str, Any], ctx: Any) -> dict[str, Any]:
    located = await perform(ctx, "locate", given["request"], given["suite"])
    return {**given, "located": located}


async def search_repair(given: dict[str, Any], ctx: Any) -> dict[str, Any]:
    request, suite, located = given["request"], given["suite"], given["located"]
    found = await repair.search(partial(perform, ctx), request, suite, located, given["limits"])
    return {**given, "found": found}


async def verify(given: dict[str, Any], ctx: Any) -> dict[str, Any]:
    """Run everything once more on the repaired tree, and decide."""
    found = given["found"]
    report = repair.report(given["suite"], given["located"], found)
    if found["verified"] is None:
        return {"route": "not_repaired", **report, "message": f"not repaired: {why_not(found, report)}"}
    again = await perform(
        ctx, "confirm", given["request"], given["suite"], given["located"], found["verified"]["edits"]
    )
    if not again["fixed"]:
        return {"route": "not_repaired", **report, "reason": "unconfirmed", "message": REASONS["unconfirmed"]}
    place = {key: found["verified"][key] for key in ("file", "line", "operator")}
    chosen = {**{key: again[key] for key in ("diff", "tests_after", "changes")}, **place}
    return {"route": "fixed", **report, **chosen, "repo": given["suite"]["repo"], "apply": given["apply"]}


def why_not(found: dict[str, Any], report: dict[str, Any]) -> str:
    """The reason in words; where failing tests were of no use, the first of them and what is the matter with it."""
    why = REASONS.get(found["reason"], found["reason"])
    if found["reason"] == "no_target" and report["set_aside"]:
        first = report["set_aside"][0]
        others = len(report["failing"]) - 1
        why += f": {first['test']}: {first['why']}" + (f" (and {others} more)" if others else "")
    if report["part"]:
        done = len(report["failing"]) - len(report["part"]["remaining"])
        why += f"; {done} of {len(report['failing'])} failing tests pass with the diff in 'part', the others do not"
    return why


async def deliver(given: dict[str, Any], ctx: Any) -> dict[str, Any]:
    """Hand back the diff; write it into the user's tree only where that was asked for."""
    applied = False
    if given["apply"]:
        for change in given["changes"]:
            await perform(ctx, "apply_change", given["repo"], change)
        applied = True
    kept = {key: value for key, value in given.items() if key not in {"changes", "apply", "route"}}
    return {**kept, "applied": applied}
