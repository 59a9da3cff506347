"""Milestones: of a goal that splits itself, and of a model that stays in the repository."""

import pytest

from clew.agents.code.roles import planning
from clew.core.errors import Failure

STEP = {"title": "a parser", "done_when": "test_parse passes", "files": ["src/parse.py"]}


async def test_offline(seat):
    told = await planning.work({"goal": "- parse dates\n- sort them within 2 days"}, seat())
    assert told["method"] == "offline"
    assert told["milestones"] == [
        {"id": "m1", "title": "parse dates"},
        {"id": "m2", "title": "sort them within 2 days", "due_in": "2d"},
    ]


async def test_a_model(seat, repo):
    outside = {**STEP, "files": ["../other"]}
    place = seat({"summary": "?", "milestones": [outside]}, {"summary": "one", "milestones": [STEP]})
    payload = {"goal": "parse", "repo": str(repo({"a.py": "A = 1\n"})), "target": "a.py", "model": "coder"}
    told = await planning.work(payload, place)
    assert (told["method"], told["milestones"]) == ("model", [{"id": "m1", **STEP}])
    assert "## a.py\nA = 1" in place.body.asked[0][1]["content"]
    assert "'..'" in place.body.asked[1][-1]["content"]
    with pytest.raises(Failure) as failed:
        await planning.work(payload, seat(*[{"summary": "?", "milestones": [outside]}] * 3))
    assert failed.value.code == "outside_root"


@pytest.mark.parametrize("payload", [{}, {"goal": ""}, {"goal": 7}])
async def test_no_goal(seat, payload):
    with pytest.raises(Failure) as failed:
        await planning.work(payload, seat())
    assert failed.value.code == "invalid_payload"
