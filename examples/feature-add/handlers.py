"""Bodies of feature-add. The loop is code, not a cycle in the graph: each round is a child run on the parent's record."""

from typing import Any

from clew.agents.code.roles.testexec import failing
from clew.service.code_agents import deliver, perform, repository, state

ROUNDS = 3


async def read_request(given: dict[str, Any], ctx: Any) -> dict[str, Any]:
    """What the agents are told, how the repository is now, and which of its tests fail already."""
    about = {key: given[key] for key in ("python", "model") if given.get(key)}
    about["repo"] = await repository(given["repo"], ctx)
    timeout = {"timeout": given["timeout"]} if given.get("timeout") else {}
    now = await state(about["repo"], ctx)
    ran = await perform("TestExec", {**about, **timeout}, ctx)
    task = {
        "about": about,
        "timeout": timeout,
        "target": given["target"],
        "instructions": given["instructions"],
        "known": [test["id"] for test in failing(ran)],
    }
    options = {"rounds": given.get("rounds", ROUNDS), "apply": bool(given.get("apply"))}
    return {"task": task, **options, "state": now, "before": ran["counts"]}


async def refine(given: dict[str, Any], ctx: Any) -> dict[str, Any]:
    """Rounds until the code is good, there are no rounds left, or another would do the same."""
    rounds: list[dict[str, Any]] = []
    now: dict[str, Any] = {"changes": {}, "log": "", "function": ""}
    while len(rounds) < given["rounds"]:
        one = (await ctx.run("round", {**given["task"], **now}))["output"]
        rounds.append({key: one[key] for key in ("ok", "methods", "diff", "findings", "tests", "counts", "log")})
        now = {"changes": one["code"], "log": one["log"], "function": one["function"]}
        if one["ok"] or not given["task"]["about"].get("model"):
            break
    return {**given, "rounds": rounds, "changes": one["changes"]}


def judge(given: dict[str, Any], ctx: Any) -> dict[str, Any]:
    rounds = given["rounds"]
    told = {"rounds": rounds, "tests_before": given["before"], "tests_after": rounds[-1]["counts"]}
    if not rounds[-1]["ok"]:
        return {
            "route": "not_added",
            **told,
            "message": f"not good after {len(rounds)} rounds: {rounds[-1]['log'][:500]}",
        }
    kept = {"repo": given["task"]["about"]["repo"], "changes": given["changes"]}
    return {"route": "added", **told, **kept, "state": given["state"], "apply": given["apply"]}


async def hand_over(given: dict[str, Any], ctx: Any) -> dict[str, Any]:
    """Code and tests as one diff; written into the repository only where that was asked for."""
    told = {key: given[key] for key in ("rounds", "tests_before", "tests_after")}
    return {**told, **await deliver(given, ctx)}
