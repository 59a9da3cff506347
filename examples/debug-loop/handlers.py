"""Bodies of debug-loop. The loop is code, not a cycle in the graph: each round is a child run that the parent's journal records,
so a run that is killed goes on in the round, and at the step of it, where it was.
"""

from typing import Any

from clew.agents.code.roles.testexec import error_log
from clew.service.code_agents import deliver, perform, repository, state

ROUNDS = 3


async def read_request(given: dict[str, Any], ctx: Any) -> dict[str, Any]:
    """What the agents are told of the repository, and how it is now."""
    about = {key: given[key] for key in ("python", "model") if given.get(key)}
    about["repo"] = await repository(given["repo"], ctx)
    tests = {key: given[key] for key in ("tests", "timeout") if given.get(key)}
    options = {"rounds": given.get("rounds", ROUNDS), "apply": bool(given.get("apply"))}
    return {"about": about, "tests": tests, **options, "state": await state(about["repo"], ctx)}


async def test(given: dict[str, Any], ctx: Any) -> dict[str, Any]:
    ran = await perform("TestExec", {**given["about"], **given["tests"]}, ctx)
    return {**given, "ok": ran["ok"], "before": ran["counts"], "log": error_log(ran)}


def anything_failing(given: dict[str, Any], ctx: Any) -> dict[str, Any]:
    if given["ok"]:
        return {"route": "nothing", "diff": "", "tests_before": given["before"], "message": "no test fails"}
    return {**given, "route": "failing"}


async def refine(given: dict[str, Any], ctx: Any) -> dict[str, Any]:
    """Rounds of Debug, CodeGen and TestExec until the tests pass, there are no rounds left, or another would do the same."""
    rounds: list[dict[str, Any]] = []
    now: dict[str, Any] = {"changes": {}, "log": given["log"], "tried": []}
    while len(rounds) < given["rounds"]:
        one = (await ctx.run("round", {"about": given["about"], "tests": given["tests"], **now}))["output"]
        rounds.append({key: one[key] for key in ("ok", "method", "diagnosis", "diff", "counts", "reason")})
        now = {key: one[key] for key in ("changes", "log", "tried")}
        if one["ok"] or one["method"] == "offline":
            break
    return {**given, "rounds": rounds, "changes": now["changes"]}


def judge(given: dict[str, Any], ctx: Any) -> dict[str, Any]:
    rounds = given["rounds"]
    told = {"rounds": rounds, "tests_before": given["before"], "tests_after": rounds[-1]["counts"]}
    if not rounds[-1]["ok"]:
        why = rounds[-1]["reason"] or "tests still fail"
        return {"route": "not_fixed", **told, "message": f"not fixed in {len(rounds)} rounds: {why}"}
    kept = {
        "repo": given["about"]["repo"],
        "changes": given["changes"],
        "state": given["state"],
        "apply": given["apply"],
    }
    return {"route": "fixed", **told, **kept}


async def hand_over(given: dict[str, Any], ctx: Any) -> dict[str, Any]:
    """The whole change as a diff; written into the repository only where that was asked for."""
    told = {key: given[key] for key in ("rounds", "tests_before", "tests_after")}
    return {**told, **await deliver(given, ctx)}
