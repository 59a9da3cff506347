import pytest

from clew.core.errors import Failure
from clew.gate.schema import Validator, listed

SCHEMA = {
    "type": "object",
    "properties": {"rows": {"type": "array", "items": {"type": "integer"}}},
    "required": ["rows"],
}


def test_what_fits_passes():
    Validator(SCHEMA).check({"rows": [1, 2]})
    assert Validator(SCHEMA).problems({"rows": []}) == []


def test_every_violation_has_its_path():
    with pytest.raises(Failure, match=r"input: \$\.rows\[1\]: ") as caught:
        Validator(SCHEMA).check({"rows": [1, "x", 2, None]}, code="invalid_input", what="input")
    assert caught.value.code == "invalid_input"
    assert [p["path"] for p in caught.value.details] == ["$.rows[1]", "$.rows[3]"]
    assert Validator(SCHEMA).problems(3)[0]["path"] == "$"


def test_long_lists_and_messages_are_cut():
    problems = Validator(SCHEMA).problems({"rows": ["x" * 10_000] * 500})
    assert len(problems) == 100
    assert all(len(p["message"]) <= 300 for p in problems)
    assert listed(problems).endswith("; and 90 more")


@pytest.mark.parametrize(
    "schema", [{"type": "nonsense"}, {"$ref": "http://example.com/s.json"}, {"$ref": "file:///etc/passwd"}]
)
def test_a_schema_that_cannot_be_used_or_would_fetch(schema):
    with pytest.raises(Failure, match="not a usable JSON Schema") as caught:
        Validator(schema).check({})
    assert caught.value.code == "invalid_schema"


def test_key_order_makes_no_new_schema():
    first, second = Validator({"type": "object", "minProperties": 1}), Validator({"minProperties": 1, "type": "object"})
    assert first._compiled is second._compiled
