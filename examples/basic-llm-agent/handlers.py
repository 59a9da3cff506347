"""Bodies of the deterministic stages. The facts go past the agents: from where they are counted to where they are reported."""

import json
from typing import Any

from looking import TOLD, told

MADE_BY = {
    "offline": "Offline: no model was asked. The question was read by a table of words, the statements were made by tools.",
    "model": "The question was read and the statements were chosen by a language model.",
    "facts": "Counted by tools; the agents gave no result.",
}


async def user_input(request: dict[str, Any], ctx: Any) -> dict[str, Any]:
    """Open the directory: from here on it is known by its ticket, and nothing else can be looked at."""
    opened = await ctx.call("open_tree", {"directory": request["directory"]})
    return {**opened, "question": request.get("question", "").strip() or "Give an overview."}


async def gather_context(given: dict[str, Any], ctx: Any) -> dict[str, Any]:
    """Count. One copy goes to the agents, one straight to the results."""
    return {**given, "facts": await ctx.call("survey", {"tree": given["tree"]})}


async def results(merged: dict[str, Any], ctx: Any) -> dict[str, Any]:
    """Join what was counted and what was written; what the facts do not bear is taken out, whatever the reviewer said."""
    outputs = [entry["output"] for entry in merged["merge_inputs"]]
    known = next(output for output in outputs if "facts" in output)
    draft = next((output for output in outputs if "findings" in output), None)
    facts = known["facts"]
    if draft is None:
        findings = [{"topic": topic, "statement": told(topic, facts)} for topic in TOLD]
        draft = {
            "verdict": "none",
            "findings": findings,
            "unanswered": [known["question"]],
            "failed": [],
            "by": "facts",
        }
    check = await ctx.call("check_numbers", {"tree": known["tree"], "findings": draft["findings"], "facts": facts})
    refused = {(found["topic"], found["statement"]) for found in check["unsupported"]}
    kept = [f for f in draft["findings"] if (f["topic"], f["statement"]) not in refused]
    output = {
        "name": known["name"],
        "question": known["question"],
        "by": draft["by"],
        "verdict": draft["verdict"],
        "findings": kept,
        "unsupported": check["unsupported"],
        "numbers_checked": check["checked"],
        "unanswered": draft["unanswered"],
        "failed": [*draft["failed"], *(_why(failure) for failure in merged["failures"])],
        "changed_meanwhile": check["digest"] != facts["digest"],
        "facts": facts,
    }
    return {"report": report(output), **output}


def _told(failed: Any) -> str:
    """A tool call that failed, as whoever made it wrote it down."""
    return failed if isinstance(failed, str) else json.dumps(failed, ensure_ascii=False)


def _why(failure: dict[str, Any]) -> str:
    error = failure.get("error") or {}
    return f"{failure.get('node_id', 'an agent')}: {error.get('code')}: {error.get('message')}"


def report(found: dict[str, Any]) -> str:
    """The output as Markdown."""
    lines = [f"# {found['name']}", "", f"Asked: {found['question']}", ""]
    lines += _section("Found", [finding["statement"] for finding in found["findings"]])
    lines += _section("Not answered", found["unanswered"])
    lines += _section(
        "Taken out: stated numbers that are no facts",
        [f"{one['number']} in: {one['statement']}" for one in found["unsupported"]],
    )
    lines += _section("What went wrong", [_told(failure) for failure in found["failed"]])
    lines += _section("Not looked at", _limits(found["facts"]["left_out"]))
    lines += ["## How this was made", "", MADE_BY[found["by"]]]
    lines += [f"{found['numbers_checked']} numbers were compared with what was counted. Review: {found['verdict']}."]
    if found["changed_meanwhile"]:
        lines += ["The directory changed while this was made: facts and statements may be of different states."]
    return "\n".join(lines) + "\n"


def _section(title: str, items: list[Any]) -> list[str]:
    return [f"## {title}", "", *(f"- {item}" for item in items), ""] if items else []


def _limits(left_out: dict[str, Any]) -> list[str]:
    said = [f"{name}, wherever it is" for name in left_out["names"]]
    for key in ("too_large_to_read", "unreadable_files", "unreadable_directories"):
        if left_out[key]:
            said.append(f"{key.replace('_', ' ')}: {left_out[key]}")
    return [*said, "further files: there are more than are looked at"] if left_out["further_files"] else said
