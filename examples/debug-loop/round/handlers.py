"""Bodies of one round: the code agents, each told what the one before it found."""

from typing import Any

from clew.agents.code.roles.testexec import error_log
from clew.service.code_agents import perform


async def debug(given: dict[str, Any], ctx: Any) -> dict[str, Any]:
    """The cause. With a model the change is CodeGen's to write; offline the search for the cause is the search for a change."""
    about, tried = given["about"], "".join(f"\n\nTried before, and not enough: {one}" for one in given["tried"])
    payload = {**about, "changes": given["changes"], "errorLog": given["log"] + tried, "patch": not about.get("model")}
    return {**given, "found": await perform("Debug", payload, ctx)}


async def change(given: dict[str, Any], ctx: Any) -> dict[str, Any]:
    """The change: what the search found, or what a model writes to the diagnosis."""
    found, about = given["found"], given["about"]
    diagnosis = found["diagnosis"]
    target = diagnosis.get("target")
    if not about.get("model") and not found["delta"]:
        return {**given, "written": None}
    payload = {**about, "changes": given["changes"], "action": "modify", "target": target}
    if found["delta"]:  # of the other files that it changes, too
        others = {path: text for path, text in found["changes"].items() if path != target}
        payload |= {"changes": {**given["changes"], **others}, "content": found["changes"][target]}
    else:
        payload["instructions"] = diagnosis["instructions"]
        payload["material"] = {"Diagnosis": diagnosis["summary"], "Tests": given["log"]}
    return {**given, "written": await perform("CodeGen", payload, ctx)}


async def test(given: dict[str, Any], ctx: Any) -> dict[str, Any]:
    """The tests again, with the change; and what the next round has to know."""
    found, written = given["found"], given["written"]
    told = {"method": found["method"], "diagnosis": found["diagnosis"]["summary"], "reason": found["reason"]}
    if written is None:
        rest = {key: given[key] for key in ("changes", "log", "tried")}
        return {**told, **rest, "ok": False, "diff": "", "counts": found["tests"].get("before", {})}
    changes, diff = written["changes"], (found["delta"] or written["delta"])["diff"]
    ran = await perform("TestExec", {**given["about"], **given["tests"], "changes": changes}, ctx)
    rest = {"changes": changes, "log": error_log(ran), "tried": [*given["tried"], diff]}
    return {**told, **rest, "ok": ran["ok"], "diff": diff, "counts": ran["counts"]}
