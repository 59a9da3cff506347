"""What an engine has not done is said, and where it matters nothing runs."""

import sys

import pytest

from clew.sandbox.docker.verdicts import container_verdicts
from clew.sandbox.verdicts import BROKEN

GOOD = {
    "python": list(sys.version_info[:2]),
    "Uid": "20001",
    **dict.fromkeys(("CapPrm", "CapEff", "CapBnd", "CapAmb", "CapInh"), "0000000000000000"),
    "NoNewPrivs": "1",
    "Seccomp": "2",
    "interfaces": ["lo"],
    "root": "read-only",
    "memory": "1000",
    "tasks": "10",
}


def test_all_is_well():
    found = container_verdicts(GOOD)
    assert not any(verdict.startswith((BROKEN, "WEAKER")) for verdict in found.values())
    assert (found["container_memory"], found["container_tasks"]) == ("1000 bytes", "10 tasks")


@pytest.mark.parametrize(
    ("layer", "facts"),
    [
        ("container_python", {"python": [2, 7]}),
        ("container_user", {"Uid": "0"}),
        ("container_capabilities", {"CapEff": "00000000a80425fb"}),
        ("container_privileges", {"NoNewPrivs": "0"}),
        ("container_network", {"interfaces": ["lo", "eth0"]}),
        ("container_root", {"root": "writable"}),
    ],
)
def test_what_makes_it_unusable(layer, facts):
    found = container_verdicts(GOOD | facts)
    assert [name for name, verdict in found.items() if verdict.startswith(BROKEN)] == [layer]


@pytest.mark.parametrize(
    ("layer", "facts"),
    [
        ("container_filter", {"Seccomp": "0"}),
        ("container_memory", {"memory": "max"}),
        ("container_memory", {"memory": "9223372036854771712"}),
        ("container_tasks", {"tasks": ""}),
    ],
)
def test_what_is_weaker_without_it(layer, facts):
    found = container_verdicts(GOOD | facts)
    assert [name for name, verdict in found.items() if verdict.startswith("WEAKER")] == [layer]
