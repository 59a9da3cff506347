"""What every execution leaves in the record."""

import msgspec

from clew.gate.ports.sandbox import ExecResult, Profile
from clew.gate.schema import Validator
from clew.tools.executed import RECORD, record


def test_limits_outcome_and_use_are_all_there():
    profile = Profile(wall_s=7.0, memory=64)
    result = ExecResult(
        status="MEM_LIMIT",
        rc=None,
        reason="too much",
        stdout_dropped=3,
        cpu_ms=5,
        max_rss=9,
        enforced={"memory": "cgroup"},
    )
    told = record(profile, result)
    assert (told["status"], told["rc"], told["reason"], told["stdout_dropped"]) == ("MEM_LIMIT", None, "too much", 3)
    assert (told["cpu_ms"], told["max_rss"], told["enforced"]) == (5, 9, {"memory": "cgroup"})
    assert told["limits"]["wall_s"] == 7.0
    assert told["limits"].keys() | {"mounts"} == set(Profile.__struct_fields__)


def test_the_schema_is_that_of_the_record():
    told = record(Profile(), ExecResult(status="OK", rc=0))
    assert told.keys() == RECORD.keys()
    schema = {"type": "object", "properties": RECORD, "required": list(RECORD), "additionalProperties": False}
    Validator(schema).check(msgspec.to_builtins(told), what="the record")
