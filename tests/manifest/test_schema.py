import jsonschema_rs
import msgspec
import pytest

from clew.manifest.generate import generated
from clew.manifest.models.project import SECTIONS
from clew.manifest.problems import Problems
from clew.manifest.read import read
from clew.manifest.schema import all_schemas, section_schema


@pytest.mark.parametrize("file", list(generated()), ids=lambda file: file.name)
def test_generated_files_are_current(file: object) -> None:
    contents = generated()
    assert file in contents
    assert file.read_text(encoding="utf-8") == contents[file], "run: python -m clew.manifest.generate"  # type: ignore


def test_they_are_json_schemas_with_descriptions() -> None:
    for name, schema in all_schemas().items():
        jsonschema_rs.meta.validate(schema)
        assert schema["description"], name
        for definition in schema.get("$defs", {}).values():
            assert definition["description"]
            assert all(field["description"] for field in definition["properties"].values())


def test_the_example_of_the_manual_fits(full: str) -> None:
    located = read(full.encode(), "clew.yaml", (), Problems())
    assert located is not None
    validator = jsonschema_rs.Draft202012Validator(section_schema("clew"))
    assert list(validator.iter_errors(located.plain())) == []
    assert not validator.is_valid({"workflow": {}})


def test_every_section_has_one() -> None:
    assert set(all_schemas()) == {"clew", *SECTIONS}
    with pytest.raises(KeyError):
        section_schema("nothing")
    assert msgspec.json.encode(all_schemas())
