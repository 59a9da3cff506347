import pytest


async def test_plans_what_it_is_told(use):
    items = [
        {"id": "m1", "title": "A draft", "done_when": "it is sent", "due_in": "1.5h"},
        {"id": "m2", "title": "Sent"},
    ]
    assert await use("plan_milestones", goal="A letter", milestones=items) == {
        "goal": "A letter",
        "milestones": [
            {"id": "m1", "title": "A draft", "done_when": "it is sent", "due_in_ms": 5_400_000},
            {"id": "m2", "title": "Sent", "done_when": "", "due_in_ms": None},
        ],
    }


@pytest.mark.parametrize(
    ("items", "code"),
    [
        ([], "invalid_arguments"),
        ([{"id": "a"}], "invalid_arguments"),
        ([{"id": "a b", "title": "t"}], "invalid_arguments"),
        ([{"id": "", "title": "t"}], "invalid_arguments"),
        ([{"id": "a", "title": ""}], "invalid_arguments"),
        ([{"id": "a", "title": "t", "due": 5}], "invalid_arguments"),
        ([{"id": "a", "title": "t", "due_in": "tomorrow"}], "invalid_arguments"),
        ([{"id": "a", "title": "t", "due_in": "-1h"}], "invalid_arguments"),
        ([{"id": "a", "title": "t", "due_in": "0s"}], "invalid_due"),
        ([{"id": "a", "title": "t", "due_in": "0.1ms"}], "invalid_due"),
        ([{"id": "a", "title": "t", "due_in": "999999999999d"}], "invalid_due"),
        ([{"id": "a", "title": "t"}, {"id": "a", "title": "u"}], "duplicate_milestone"),
        ([{"id": f"m{n}", "title": "t"} for n in range(101)], "invalid_arguments"),
    ],
)
async def test_refuses_a_wrong_plan(items, code, refused):
    assert await refused("plan_milestones", goal="g", milestones=items) == code


async def test_marks(use, refused):
    assert await use("mark_milestone", id="m1", state="done") == {"id": "m1", "state": "done", "note": ""}
    assert await refused("mark_milestone", id="m1", state="planned") == "invalid_arguments"
    assert await refused("mark_milestone", id="m1") == "invalid_arguments"
