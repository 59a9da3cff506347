"""What the findings of a probe mean."""

from pathlib import Path
from typing import Any

from clew.gate.ports.sandbox import Profile

BROKEN = "BROKEN"


def verdicts(facts: dict[str, Any], profile: Profile) -> dict[str, str]:
    """Layer -> verdict over what ``runner.measure`` found; one that begins with ``BROKEN`` makes them unusable."""
    attempts: dict[str, str] = facts["attempts"]
    allowed = [name for name, outcome in attempts.items() if outcome == "allowed"]
    capabilities = [key for key in ("CapPrm", "CapEff", "CapBnd", "CapAmb", "CapInh") if int(facts[key], 16)]
    outside = {link.name: str(link.readlink()) for link in Path("/proc/self/ns").iterdir()}
    shared = [
        name for name in ("mnt", "pid", "user", "net", "ipc", "uts") if facts["namespaces"].get(name) == outside[name]
    ]
    filtered = facts["NoNewPrivs"] == "1" and facts["Seccomp"] == "2"
    tasks = facts["forks"]
    size = facts["workspace_bytes"]
    return {
        "attempts": f"{BROKEN}: allowed {', '.join(allowed)}" if allowed else f"refused: {', '.join(attempts)}",
        "capabilities": f"{BROKEN}: {', '.join(capabilities)} not empty" if capabilities else "none",
        "namespaces": f"{BROKEN}: shares {', '.join(shared)}" if shared else "own mnt, pid, user, net, ipc, uts",
        "filter": "seccomp, no_new_privs" if filtered else f"{BROKEN}: no seccomp filter",
        "uid": f"{BROKEN}: root" if facts["Uid"] == "0" else facts["Uid"],
        "tasks_measured": str(tasks) if tasks <= profile.processes + 2 else f"{BROKEN}: {tasks} at once",
        "workspace_measured": f"{size} bytes" if size <= profile.workspace else f"{BROKEN}: took {size} bytes",
    }


def bare_verdicts(facts: dict[str, Any]) -> dict[str, str]:
    """As ``verdicts`` for the tier without namespaces."""
    attempts: dict[str, str] = facts["attempts"]
    allowed = [name for name, outcome in attempts.items() if outcome == "allowed"]
    return {
        "attempts": f"{BROKEN}: allowed {', '.join(allowed)}" if allowed else f"refused: {', '.join(attempts)}",
        "filter": "seccomp, no_new_privs" if facts["filtered"] else f"{BROKEN}: no seccomp filter",
        "uid": f"{BROKEN}: root" if facts["Uid"] == "0" else facts["Uid"],
    }
