"""Bodies of one round: the code agents, each told what the one before it made."""

import re
from typing import Any

from clew.agents.code.roles.testexec import error_log, failing
from clew.core.errors import Failure
from clew.service.code_agents import perform

NEW = re.compile(r"^\+(?:async )?def (\w+)", re.MULTILINE)


async def debug(given: dict[str, Any], ctx: Any) -> dict[str, Any]:
    """Why the round before was not good; nothing in the first one."""
    if not given["log"]:
        return {**given, "found": None}
    payload = {**given["about"], "changes": given["changes"], "errorLog": given["log"], "target": given["target"]}
    return {**given, "found": await perform("Debug", {**payload, "patch": False}, ctx)}


async def write(given: dict[str, Any], ctx: Any) -> dict[str, Any]:
    payload = {**given["about"], "changes": given["changes"], "target": given["target"]}
    payload["instructions"] = given["instructions"]
    if given["found"]:
        diagnosis = given["found"]["diagnosis"]
        told = {
            "What was written before is wrong": diagnosis["summary"],
            "To be changed": diagnosis.get("instructions", ""),
        }
        payload["material"] = {**told, "Said by checks and tests": given["log"]}
    try:
        written = await perform("CodeGen", {**payload, "action": "modify"}, ctx)
    except Failure as failure:
        if failure.code != "not_found":
            raise
        written = await perform("CodeGen", {**payload, "action": "create"}, ctx)
    return {**given, "written": written}


async def analyse(given: dict[str, Any], ctx: Any) -> dict[str, Any]:
    """Mistakes in lines that are there now, of the kinds that are errors."""
    if not given["target"].endswith(".py"):
        return {**given, "findings": []}
    payload = {**given["about"], "changes": given["written"]["changes"], "target": given["target"]}
    found = await perform("StaticAnalysis", payload, ctx)
    return {**given, "findings": [one for one in found["findings"] if one["severity"] == "error"]}


async def make_tests(given: dict[str, Any], ctx: Any) -> dict[str, Any]:
    """Tests of the first function that is new, else of the whole file; where none can be made, the repository's own decide."""
    changes = given["written"]["changes"]
    new = NEW.search(given["written"]["delta"]["diff"])
    payload = {
        **given["about"],
        "changes": changes,
        "target": given["target"],
        "function": new[1] if new else given["function"],
    }
    try:
        made = await perform("TestGen", payload, ctx)
    except Failure as failure:
        if failure.code not in ("offline_cannot", "not_importable", "no_function", "no_tests", "not_found"):
            raise
        made = {"method": "offline", "changes": changes, "path": "", "delta": {"diff": "", "summary": failure.message}}
    return {**given, "made": made, "function": payload["function"]}


async def test(given: dict[str, Any], ctx: Any) -> dict[str, Any]:
    """The whole suite with code and new tests: good is, where nothing fails that did not fail before."""
    written, made = given["written"], given["made"]
    ran = await perform("TestExec", {**given["about"], **given["timeout"], "changes": made["changes"]}, ctx)
    bad = [one["id"] for one in failing(ran) if one["id"] not in given["known"]]
    good = ran["status"] == "OK" and not bad and ran["counts"].get("passed", 0) > 0 and not given["findings"]
    said = [f"{one['location']}: {one['message']}" for one in given["findings"]]
    untested = [] if ran["counts"] else [made["delta"]["summary"]]
    log = "" if good else "\n".join([*said, *untested, error_log(ran)])
    return {
        "ok": good,
        "methods": {"CodeGen": written["method"], "TestGen": made["method"]},
        "diff": written["delta"]["diff"],
        "findings": given["findings"],
        "tests": {"path": made["path"], "summary": made["delta"]["summary"]},
        "counts": ran["counts"],
        "log": log,
        "function": given["function"],
        "code": written["changes"],
        "changes": made["changes"],
    }
