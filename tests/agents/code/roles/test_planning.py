"""Milestones: of a goal that splits itself, and of a model that stays in the repository."""

import pytest

from clew.agents.code.roles import codegen, planning
from clew.agents.code.roles.seat import understood
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


async def test_work_is_handed_on(seat, repo):
    top = str(repo({"src/parse.py": "A = 1\n"}))
    answer = {
        "summary": "two",
        "milestones": [STEP, {**STEP, "title": "sort", "files": ["src/sort.py", "src/parse.py"]}],
    }
    told = await planning.work({"goal": "parse", "repo": top, "model": "coder", "handOn": True}, seat(answer))
    assert [(one["agent"], one["payload"]["action"], one["payload"]["target"]) for one in told["newTasks"]] == [
        ("CodeGen", "modify", "src/parse.py"),
        ("CodeGen", "create", "src/sort.py"),
        ("CodeGen", "modify", "src/parse.py"),
    ]
    first = told["newTasks"][0]["payload"]
    assert first["instructions"] == "a parser\nDone when: test_parse passes"
    assert first["material"] == {"Goal": "parse", "Plan": "m1: a parser\nm2: sort"}
    assert (first["repo"], first["model"], "changes" in first) == (top, "coder", False)
    for one in told["newTasks"]:
        understood(codegen.Task, one["payload"])


async def test_without_a_model_the_target_is_what_is_handed_on(seat, repo):
    payload = {"goal": "- clamp\n- wrap", "repo": str(repo({"b.py": ""})), "changes": {"a.py": ""}, "handOn": True}
    told = await planning.work({**payload, "target": "a.py"}, seat())
    assert [one["payload"]["instructions"] for one in told["newTasks"]] == ["clamp", "wrap"]
    assert {one["payload"]["action"] for one in told["newTasks"]} == {"modify"}
    with pytest.raises(Failure, match="'clamp' is not said") as failed:
        await planning.work(payload, seat())
    assert failed.value.code == "no_files"


async def test_a_model_whose_plan_cannot_be_handed_on_is_told(seat, repo):
    nowhere, many = {**STEP, "files": []}, {**STEP, "files": [f"{n}.py" for n in range(50)]}
    place = seat(*({"summary": "", "milestones": given} for given in ([nowhere], [many] * 3, [STEP])))
    told = await planning.work({"goal": "g", "repo": str(repo({"b.py": ""})), "model": "coder", "handOn": True}, place)
    assert len(told["newTasks"]) == 1
    assert "is not said" in place.body.asked[1][-1]["content"]
    assert "150 tasks would come out of this plan" in place.body.asked[2][-1]["content"]


async def test_nothing_is_handed_on_unasked(seat, repo):
    place = seat({"summary": "", "milestones": [STEP]})
    told = await planning.work({"goal": "g", "repo": str(repo({"b.py": ""})), "model": "coder"}, place)
    assert told["newTasks"] == []
    assert place.body.did == ["list"]
