"""The judge: compares a finished trial with the undisturbed run, by the journal and by the log outside of it.

A name is what an effect calls itself in the log; effects on record are matched to names by their first argument. Rules:
- every effect recorded as done was performed, last in the process that recorded it, and never in a later one;
- what must not be repeated was performed exactly once, whatever happened;
- what may be repeated was performed again only by a process after one that died without recording it.
"""

from collections import Counter
from typing import Any

UNSAFE = ("/reserve", "/label", "/invoice", "/ticket", "/seal")
"""Ends of names that the chaos workflow performs with ``on_in_doubt: fail`` or ``ask``."""


def problems(told: dict[str, Any], reference: dict[str, Any], log: list[dict[str, Any]]) -> list[str]:
    """What is wrong with a trial; an empty list acquits. ``told``, ``reference``: as ``driving.examine`` tells."""
    found = [f"verify: {finding}" for finding in told["findings"]]
    for run, wanted in reference["runs"].items():
        seen = told["runs"].get(run)
        if seen is None:
            found.append(f"run {run} is missing")
            continue
        found += _run_problems(run, seen, wanted)
    found += [f"run {run} should not be" for run in told["runs"] if run not in reference["runs"]]
    names = {line["name"] for line in log}
    asked = {line["name"] for line in reference["log"]}
    found += [f"never performed: {name}" for name in sorted(asked - names)]
    found += [f"performed, but not in the undisturbed run: {name}" for name in sorted(names - asked)]
    return found + _effect_problems(told, log)


def _run_problems(run: str, seen: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    found = [
        f"{run}: {field} is {seen[field]!r}, undisturbed {wanted[field]!r}"
        for field in ("state", "status", "output", "error")
        if seen[field] != wanted[field]
    ]
    if seen["verdict"] != "identical":
        found.append(f"{run}: replay says {seen['verdict']}: {seen['divergence']}")
    if seen["owner"]:
        found.append(f"{run}: still owned by {seen['owner']}")
    if seen["trace"] != wanted["trace"] and not in_doubt(seen):
        found.append(f"{run}: the trace differs and nothing was in doubt: {_difference(seen, wanted)}")
    crashed = [e for e in seen["events"] if e["type"] == "NodeFailed" and e["code"] == "crashed"]
    return found + [f"{run}: failed as crashed: {e}" for e in crashed]


def in_doubt(seen: dict[str, Any]) -> list[str]:
    """Keys of effects that a recovery found in doubt and did not simply repeat."""
    doubtful = [e["key"] for e in seen["events"] if e["type"] == "EffectFinished" and _code(e) == "in_doubt"]
    asked = [e["key"] for e in seen["events"] if e["type"] == "EffectStarted" and e["key"].endswith("/ask")]
    return doubtful + asked


def _code(event: dict[str, Any]) -> str:
    payload = event.get("payload") or {}
    return (payload.get("error") or {}).get("code", "")


def _difference(seen: dict[str, Any], wanted: dict[str, Any]) -> str:
    def kept(told: dict[str, Any]) -> Counter[str]:
        facts = ("NodeCompleted", "NodeFailed", "EffectFinished", "RunFinished")
        events = [e for e in told["events"] if e["type"] in facts and e.get("kind") != "clock"]
        return Counter(
            f"{e['type']} {e.get('key') or e.get('task', '')} {e.get('node', '')} {e.get('status', '')}" for e in events
        )

    more, less = kept(seen) - kept(wanted), kept(wanted) - kept(seen)
    return f"more {dict(more)}, less {dict(less)}"


def _effect_problems(told: dict[str, Any], log: list[dict[str, Any]]) -> list[str]:
    performed: dict[str, list[int]] = {}
    for line in log:
        performed.setdefault(line["name"], []).append(line["incarnation"])
    recorded = {name: at for seen in told["runs"].values() for name, at in _recorded(seen["events"]).items()}
    found: list[str] = []
    for name, at in recorded.items():
        if name not in performed:
            found.append(f"recorded as done, never performed: {name}")
        elif max(performed[name]) > at:
            found.append(f"{name}: recorded by process {at}, performed again by {max(performed[name])}")
    for name, by in performed.items():
        if name not in recorded and not name.endswith(UNSAFE):
            found.append(f"performed, never recorded: {name}")
        if len(by) > 1 and (name.endswith(UNSAFE) or len(set(by)) < len(by)):
            found.append(f"{name}: performed {len(by)} times, by processes {by}")
    return found


def _recorded(events: list[dict[str, Any]]) -> dict[str, int]:
    """Name -> the process that recorded it as done."""
    process = 0
    requests: dict[str, Any] = {}
    found: dict[str, int] = {}
    for event in events:
        if event["type"] == "DriverStarted":
            process = int(event["owner"].removeprefix("incarnation"))
        payload = event.get("payload") or {}
        if event["type"] == "EffectStarted":
            requests[event["key"]] = payload
        elif event["type"] == "EffectFinished" and event["kind"] in ("effect", "tool", "handler"):
            name = _name(event, requests.get(event["key"], payload.get("request")))
            if event["status"] == "ok" and name is not None:
                found[name] = process
    return found


def _name(event: dict[str, Any], request: Any) -> str | None:
    if event["name"].endswith("-look") or event["name"] == "look":
        return None  # it may find that the deed was done before
    if event["kind"] == "effect":
        return request[0]
    return request["name"] if event["kind"] == "tool" else event["key"]
