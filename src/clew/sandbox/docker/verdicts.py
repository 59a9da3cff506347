"""What an agent's findings about its container mean."""

import sys
from typing import Any

from clew.sandbox.verdicts import BROKEN

_CAPABILITIES = ("CapPrm", "CapEff", "CapBnd", "CapAmb", "CapInh")
_NO_LIMIT = 1 << 60
"""The first control groups say "none" by the largest number of pages."""

HELD_BY_CONTAINER = {
    "memory": "watchdog, sum over the tree every 20 ms; rlimit data per process; control group of the container",
    "workspace": "tmpfs size and inodes",
    "network": "container without network; seccomp refuses every socket but connected pairs; Landlock refuses TCP",
    "filesystem": "Landlock on the image, which is read-only; no /proc, no /dev but five devices",
    "privileges": "no capabilities, no_new_privs, two seccomp filters, a uid of its own; WEAKER: modes, owners, times and "
    "attributes of files cannot be changed at all",
}
"""What the runner says of itself where it shares the host's root, as it is in a container."""


def container_verdicts(facts: dict[str, Any]) -> dict[str, str]:
    """Layer -> verdict over what ``agent.facts`` found; one that begins with ``BROKEN`` makes the container unusable.

    ``WEAKER``: the engine has not done what it was told, and the runner's own limits are what is left.
    """
    version = ".".join(map(str, facts["python"]))
    ours = ".".join(map(str, sys.version_info[:2]))
    capabilities = [key for key in _CAPABILITIES if int(facts.get(key, "0"), 16)]
    cards = [name for name in facts["interfaces"] if name != "lo"]
    return {
        "container_python": version if version == ours else f"{BROKEN}: it is {version}, and {ours} is needed",
        "container_user": f"{BROKEN}: root" if facts.get("Uid") == "0" else str(facts.get("Uid")),
        "container_capabilities": f"{BROKEN}: {', '.join(capabilities)} not empty" if capabilities else "none",
        "container_privileges": "no_new_privs" if facts.get("NoNewPrivs") == "1" else f"{BROKEN}: may be gained",
        "container_network": f"{BROKEN}: {', '.join(cards)}" if cards else "none",
        "container_root": "read-only" if facts["root"] == "read-only" else f"{BROKEN}: {facts['root']}",
        "container_filter": "seccomp" if facts.get("Seccomp") == "2" else "WEAKER: none of the engine's",
        "container_memory": _limit(facts["memory"], "bytes"),
        "container_tasks": _limit(facts["tasks"], "tasks"),
    }


def _limit(value: str, unit: str) -> str:
    return f"{value} {unit}" if value.isdigit() and int(value) < _NO_LIMIT else "WEAKER: no limit of the container's"
