import os

import pytest

from clew.core.errors import Failure, NotFound, UsageError
from clew.gate.ports.tool import Permissions
from clew.gate.schema import Validator
from clew.manifest.compiled import ToolPlan
from clew.tools.builtin import BUILTINS, CONFIGURED, EXECUTING, builtin
from clew.tools.validate import confine

SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "integer"}, "b": {"type": "array", "items": {"type": "string"}}},
    "required": ["a"],
    "additionalProperties": False,
}


def test_all_violations_are_listed_with_their_paths():
    with pytest.raises(Failure) as caught:
        Validator(SCHEMA).check({"a": "x", "b": ["y", 1], "c": 2})
    assert caught.value.code == "invalid_arguments"
    assert {problem["path"] for problem in caught.value.details} == {"$.a", "$.b[1]", "$"}


def test_valid_arguments_pass():
    Validator(SCHEMA).check({"a": 1, "b": ["x"]})


def test_no_reference_is_fetched():
    with pytest.raises(Failure) as caught:
        Validator({"$ref": "https://example.invalid/schema.json"}).check(1)
    assert caught.value.code == "invalid_schema"


def test_a_thousand_violations_stay_bounded():
    with pytest.raises(Failure) as caught:
        Validator(SCHEMA).check({"a": 1, "b": list(range(10_000))})
    assert len(caught.value.details) <= 100
    assert len(str(caught.value)) < 5000


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/etc/passwd", "outside_root"),
        ("../secret", "outside_root"),
        ("link", "outside_root"),
        ("a\0", "invalid_path"),
        ("x" * 300, "invalid_path"),
        ("pipe", "special_file"),
        ("no/such/file", "not_found"),
    ],
)
def test_confine_refuses(path, code, root):
    (root / "link").symlink_to("../secret")
    os.mkfifo(root / "pipe")
    with pytest.raises(Failure) as caught:
        confine(root, path)
    assert caught.value.code == code


def test_confine_resolves(root):
    (root / "d").mkdir()
    (root / "link").symlink_to("d")
    assert confine(root, "link") == root / "d"
    assert confine(root, "link/new") == root / "d" / "new"
    assert confine(root, ".") == root


@pytest.mark.parametrize("name", sorted(BUILTINS))
def test_every_builtin_describes_itself(name):
    spec = builtin(name).spec
    assert spec.id == name
    assert len(spec.description) > 100
    assert spec.permissions.root == (None if "milestone" in name or name == "search_context" else ".")
    assert not spec.permissions.network
    assert isinstance(spec.permissions, Permissions)
    for schema in (spec.inputs, spec.outputs):
        Validator(schema)
    assert spec.inputs["additionalProperties"] is False


@pytest.mark.parametrize("name", sorted(CONFIGURED | EXECUTING))
def test_every_configured_builtin_describes_itself(name):
    spec = builtin(name).spec
    assert spec.id == name
    assert len(spec.description) > 100
    for schema in (spec.inputs, spec.outputs):
        Validator(schema)
    assert spec.inputs["additionalProperties"] is False
    with pytest.raises(UsageError, match=f"{name}.*config.*nonsense"):
        builtin(name, ToolPlan(type="builtin", config={"nonsense": 1}))


def test_unknown_builtin():
    with pytest.raises(NotFound, match="read_file"):
        builtin("nope")
