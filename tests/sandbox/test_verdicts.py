from pathlib import Path

import pytest

from clew.gate.ports.sandbox import MIB, Profile
from clew.sandbox.verdicts import BROKEN, bare_verdicts, verdicts

PROFILE = Profile(processes=8, workspace=1 * MIB)
GOOD = {
    **dict.fromkeys(("CapPrm", "CapEff", "CapBnd", "CapAmb", "CapInh"), "0000000000000000"),
    "NoNewPrivs": "1",
    "Seccomp": "2",
    "Uid": "1000",
    "namespaces": {name: f"{name}:[1]" for name in ("mnt", "pid", "user", "net", "ipc", "uts")},
    "attempts": {"mount": "errno 1"},
    "forks": 8,
    "workspace_bytes": 1 * MIB,
}


def broken(facts):
    return [name for name, verdict in verdicts(facts, PROFILE).items() if verdict.startswith(BROKEN)]


def test_all_layers_hold():
    assert broken(GOOD) == []


@pytest.mark.parametrize(
    ("change", "layer"),
    [
        ({"attempts": {"mount": "allowed"}}, "attempts"),
        ({"CapBnd": "0000000000000001"}, "capabilities"),
        ({"namespaces": {**GOOD["namespaces"], "net": str(Path("/proc/self/ns/net").readlink())}}, "namespaces"),
        ({"Seccomp": "0"}, "filter"),
        ({"NoNewPrivs": "0"}, "filter"),
        ({"Uid": "0"}, "uid"),
        ({"forks": 50}, "tasks_measured"),
        ({"workspace_bytes": 2 * MIB}, "workspace_measured"),
    ],
)
def test_one_layer_that_does_not(change, layer):
    assert broken({**GOOD, **change}) == [layer]


BARE = {"attempts": {"list_root": "errno 13"}, "filtered": True, "Uid": "1000"}


@pytest.mark.parametrize(
    ("change", "layers"),
    [
        ({}, []),
        ({"attempts": {"list_root": "allowed"}}, ["attempts"]),
        ({"filtered": False}, ["filter"]),
        ({"Uid": "0"}, ["uid"]),
    ],
)
def test_the_tier_without_namespaces(change, layers):
    found = bare_verdicts({**BARE, **change})
    assert [name for name, verdict in found.items() if verdict.startswith(BROKEN)] == layers
