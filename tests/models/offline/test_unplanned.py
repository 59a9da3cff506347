import pytest

from clew.core.errors import Failure
from clew.gate.ports.model import ToolOffer
from clew.models.offline.unplanned import Source, calls, fields, prose


def schema(required=None, **properties):
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties) if required is None else required,
        "additionalProperties": False,
    }


TEXT = {"type": "string"}
NUMBER = {"type": "integer"}


def test_tools_are_called_once_with_what_is_known():
    tools = [
        ToolOffer(name="read", parameters=schema(path=TEXT)),
        ToolOffer(name="list", parameters=schema([], depth=NUMBER)),
        ToolOffer(name="write", parameters=schema(path=TEXT, content=TEXT)),
        ToolOffer(name="bare"),
        ToolOffer(name="done", parameters=schema([])),
    ]
    found = calls(tools, [Source("input", {"path": "a.py", "depth": "three"})], {"done"})
    assert [(c.name, c.arguments) for c in found] == [("read", {"path": "a.py"}), ("list", {}), ("bare", {})]


def test_fields_are_taken_by_name_and_type_from_the_newest_result():
    sources = [
        Source("new", {"total": 3, "deep": {"total": 9}}),
        Source("old", {"total": 1}),
        Source("input", {"name": 7, "who": {"name": "x"}}),
    ]
    assert fields(schema(total=NUMBER), sources) == {"total": 3}
    with pytest.raises(Failure) as caught:
        fields(schema(name=TEXT), sources)
    assert caught.value.details == {"fields": ["$.name"]}


def test_a_name_that_stands_for_different_things_fills_nothing():
    twice = Source("input", {"a": {"id": 1}, "b": {"id": 2}})
    with pytest.raises(Failure, match=r"\$\.id"):
        fields(schema(id=NUMBER), [twice])
    assert fields(schema(id=NUMBER), [Source("input", {"a": {"id": 1}, "b": {"id": 1}})]) == {"id": 1}


def test_what_a_schema_says_itself_is_filled():
    form = schema(
        kind={"const": "report"},
        level={"type": "string", "default": "low"},
        only={"enum": ["one"]},
        survey={"type": "object"},
        inner=schema(total=NUMBER),
    )
    found = fields(form, [Source("survey", {"total": 3})])
    assert found == {"kind": "report", "level": "low", "only": "one", "survey": {"total": 3}, "inner": {"total": 3}}


def test_references_within_the_schema_are_followed():
    form = {**schema(count={"$ref": "#/$defs/Count"}, part={"$ref": "#/$defs/Part"}), "$defs": {
        "Count": {"type": "integer", "minimum": 2}, "Part": schema(count={"$ref": "#/$defs/Count"})}}  # fmt: skip
    assert fields(form, [Source("input", {"count": 3})]) == {"count": 3, "part": {"count": 3}}
    with pytest.raises(Failure):
        fields(form, [Source("input", {"count": 1})])


@pytest.mark.parametrize(
    ("said", "label"),
    [
        ("please take the LARGE one", "large"),
        ("very-large or not", None),
        ("large or small", None),
        ("neither", None),
        ("a very large one", None),
    ],
)
def test_a_label_only_where_the_input_names_exactly_one(said, label):
    form = schema(route={"enum": ["small", "large", "very_large"]})
    sources = [Source("tool", {"text": "small"}), Source("input", {"text": said, "small": 1})]
    if label:
        assert fields(form, sources) == {"route": label}
    else:
        with pytest.raises(Failure, match=r"\$\.route") as caught:
            fields(form, sources)
        assert caught.value.code == "offline_cannot"
        assert "declare a model" in caught.value.hint


@pytest.mark.parametrize(
    ("form", "missing"),
    [
        ({"type": "array"}, ["$"]),
        ({"anyOf": [{"type": "object"}]}, ["$"]),
        ({"type": "object", "required": ["a"]}, ["$.a"]),
        ({"type": "object", "minProperties": 1}, ["$"]),
        (schema(a=True), ["$.a"]),
        (schema(a={"enum": [1, 2]}), ["$.a"]),
    ],
)
def test_what_cannot_be_filled_is_named(form, missing):
    with pytest.raises(Failure) as caught:
        fields(form, [Source("input", {"b": 1})])
    assert (caught.value.code, caught.value.details) == ("offline_cannot", {"fields": missing})


def test_a_schema_that_is_none():
    with pytest.raises(Failure) as caught:
        fields({"type": "object", "properties": {"a": {"type": "no such"}}}, [Source("input", {"a": 1})])
    assert caught.value.code == "invalid_request"


def test_a_schema_that_refers_to_itself_ends():
    form = {"$defs": {"T": schema(t={"$ref": "#/$defs/T"})}, **schema(t={"$ref": "#/$defs/T"})}
    with pytest.raises(Failure, match=r"\$\.t"):
        fields(form, [Source("input", {})])


def test_prose_quotes():
    assert prose([Source("count", {"total": 3, "by": [{"name": "a"}]}), Source("input", {"text": "x"})]) == (
        "count: total = 3\ncount: by.0.name = a"
    )
    many = prose([Source("t", list(range(100)))])
    assert many.endswith("and 60 more facts")
    assert prose([Source("input", {"text": "One. Two! Three? Four\nFive. Six."})]) == (
        "It was given: One. Two! Three? Four Five."
    )
    assert prose([Source("input", 7)]) == "It was given no text."
