import pytest

from clew.core.errors import Failure
from clew.tools.mcp.pins import DESCRIPTION_LIMIT, offered, pin_of

TOOL = {"name": "add", "description": "adds", "inputSchema": {"type": "object"}}


def test_a_pin_covers_what_a_model_is_told_and_nothing_else():
    assert pin_of(TOOL) == pin_of({**TOOL, "annotations": {"readOnlyHint": True}, "title": "Add"})
    assert pin_of(TOOL) == pin_of(dict(reversed(TOOL.items())))
    others = [
        {**TOOL, "name": "a"},
        {**TOOL, "description": "Adds"},
        {**TOOL, "inputSchema": {"type": "object", "x": 1}},
    ]
    assert len({pin_of(TOOL), *map(pin_of, others)}) == 4


def test_what_is_offered():
    tool = offered({**TOOL, "outputSchema": {"type": "object"}})
    assert (tool.name, tool.description, tool.inputs, tool.outputs) == (
        "add",
        "adds",
        {"type": "object"},
        {"type": "object"},
    )
    assert offered({"name": "x", "inputSchema": {}}).description == ""


@pytest.mark.parametrize(
    "fields",
    [
        {"inputSchema": None},
        {"inputSchema": {"type": "nonsense"}},
        {"inputSchema": {"$ref": "http://127.0.0.1:1/x"}},
        {"inputSchema": {"description": "x" * 70_000}},
        {"outputSchema": {"properties": 3}},
        {"outputSchema": {"description": "x" * 70_000}},
    ],
)
def test_a_schema_that_cannot_be_used(fields):
    with pytest.raises(Failure) as caught:
        offered({**TOOL, **fields})
    assert caught.value.code == "invalid_schema"


def test_a_description_is_what_a_human_can_see_of_it():
    hidden = "adds\u202e\u200b\x1b[2J\U000e0041 numbers\n\ttwo"
    assert offered({**TOOL, "description": hidden}).description == "adds[2J numbers\n\ttwo"
    assert len(offered({**TOOL, "description": "x" * 9000}).description) == DESCRIPTION_LIMIT + 1
