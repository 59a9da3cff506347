from collections.abc import Callable
from pathlib import Path

import jsonschema_rs

from clew.manifest.plan import check, load

Write = Callable[[dict[str, str | bytes]], Path]


def test_neighbours_are_carried_along(write: Write, workflow: str, handlers: str) -> None:
    root = write(
        {
            "workflow.yaml": workflow.replace("role: start", "role: start, schema_in: Person"),
            "handlers.py": handlers,
            "schemas/Person.json": '{"properties": {"home": {"$ref": "Address.json"}, "boss": {"$ref": "#"}}}',
            "schemas/Address.json": '{"$defs": {"zip": {"type": "string"}}, "required": ["zip"], "properties": '
            '{"zip": {"$ref": "#/$defs/zip"}, "of": {"$ref": "Country.json#/$defs/code"}}}',
            "schemas/Country.json": '{"$defs": {"code": {"enum": ["A", "B"]}, "back": {"$ref": "Person.json"}}}',
        }
    )
    validator = jsonschema_rs.Draft202012Validator(load(root).schemas["Person"])
    assert validator.is_valid({"home": {"zip": "1", "of": "A"}})
    assert not validator.is_valid({"home": {"zip": 1}})
    assert not validator.is_valid({"home": {"zip": "1", "of": "C"}})
    assert not validator.is_valid({"boss": {"home": {}}})


def test_inline_schemas_may_refer_to_files(write: Write, workflow: str, handlers: str) -> None:
    text = workflow.replace("role: linear,", 'role: linear, schema_out: {"$ref": "A.json"},')
    root = write({"workflow.yaml": text, "handlers.py": handlers, "schemas/A.json": '{"type": "string"}'})
    schema = load(root).schemas["#nodes.work.schema_out"]
    assert jsonschema_rs.Draft202012Validator(schema).is_valid("x")
    assert not jsonschema_rs.Draft202012Validator(schema).is_valid(1)


def test_names_that_look_like_keywords_are_left_alone(write: Write, workflow: str, handlers: str) -> None:
    text = '{"properties": {"$ref": {"type": "string"}}, "const": {"$ref": "https://example.org"}}'
    root = write({"workflow.yaml": workflow, "handlers.py": handlers, "schemas/A.json": text})
    assert check(root) == []


def test_a_broken_schema_is_one_problem_however_often_it_is_named(write: Write, workflow: str, handlers: str) -> None:
    root = write(
        {
            "workflow.yaml": workflow.replace("role: linear,", "role: linear, schema_in: A, schema_out: B,"),
            "handlers.py": handlers,
            "schemas/A.json": "{",
            "schemas/B.json": '{"$ref": "A.json"}',
        }
    )
    assert [problem.file for problem in check(root)] == ["schemas/A.json"]


def test_stray_files(write: Write, workflow: str, handlers: str) -> None:
    root = write({"workflow.yaml": workflow, "handlers.py": handlers, "schemas/a b.json": "{}", "schemas/notes.md": ""})
    assert [problem.severity for problem in check(root)] == ["warning"]
