import msgspec

from clew.cli import shapes
from clew.cli.shape_docs import documented_fields
from clew.service.diff import Item


def test_fields_have_their_json_names_kinds_and_docs():
    found = {name: (kind, text) for name, kind, text in documented_fields(shapes.Outcome)}
    assert found["waiting"] == ("list of [Question](#question)", "")
    assert found["status"][0] == "text or null"
    assert "success" in found["status"][1]
    assert found["driven"] == ("boolean", "A process drives it.")
    assert {name: kind for name, kind, _ in documented_fields(Item)}["in"] == "`a` or `b` or `both`"


def test_every_shape_is_described():
    for shape in vars(shapes).values():
        if isinstance(shape, type) and issubclass(shape, msgspec.Struct) and shape is not msgspec.Struct:
            assert shape.__doc__
            assert list(documented_fields(shape))
