import pytest

from clew.core.errors import Failure
from clew.manifest.compiled import ToolPlan
from clew.tools.builtin import builtin, project_status

CONFIG = {"owner": "acme", "number": 1, "repos": ["acme/app"], "credential": "key"}


@pytest.fixture
def use(ask, github):
    async def call(action, config=None, **args):
        return await ask(
            "project_status", {**CONFIG, "base_url": github.site.url, **(config or {})}, {"action": action, **args}
        )

    return call


@pytest.fixture
def fails(use):
    async def call(*args, **kwargs):
        with pytest.raises(Failure) as caught:
            await use(*args, **kwargs)
        return caught.value.code

    return call


@pytest.fixture
def board(github):
    github.put("Issue", 1, "Todo")
    github.put("PullRequest", 2, "In Progress")
    github.put("DraftIssue", 3)
    github.put("hidden", 4, "Todo")
    github.put("Issue", 5, "Todo", archived=True)
    github.items.append(None)
    return github


async def test_summary(use, board):
    result = await use("summary")
    assert result["counts"] == {"Todo": 2, "In Progress": 1, "Done": 0, "(none)": 1}
    assert result["project"] == {"title": "Roadmap", "url": "https://github.com/orgs/acme/projects/1", "closed": False}
    assert result["statuses"] == ["Todo", "In Progress", "Done"]


async def test_list(use, board):
    result = await use("list")
    assert [(one["kind"], one["status"]) for one in result["items"]] == [
        ("issue", "Todo"),
        ("pull_request", "In Progress"),
        ("draft", "(none)"),
        ("hidden", "Todo"),
    ]
    assert result["items"][1]["state"] == "open"
    assert result["items"][0]["repo"] == "acme/app"
    assert [one["title"] for one in (await use("list", status="in progress"))["items"]] == ["PullRequest 2"]
    result = await use("list", limit=1)
    assert (len(result["items"]), result["truncated"]) == (1, True)


async def test_set_moves_and_adds(use, board):
    for number in range(1, 8):
        board.add(f"issue {number}")
    assert (await use("set", number=1, status="done"))["item"]["status"] == "Done"
    for _ in range(2):
        moved = await use("set", number=7, status="Todo", repo="acme/app")
    assert moved["item"]["title"] == "issue 7"
    counts = (await use("summary"))["counts"]
    assert (counts["Done"], counts["Todo"]) == (1, 2)


async def test_refuses(fails, board):
    board.add("A")
    assert await fails("set", number=1) == "invalid_arguments"
    assert await fails("set", number=1, status="Nope") == "invalid_arguments"
    assert await fails("list", status="Nope") == "invalid_arguments"
    assert await fails("set", number=1, status="Done", repo="acme/secret") == "repo_not_allowed"
    assert await fails("set", {"repos": []}, number=1, status="Done") == "repo_not_allowed"
    assert await fails("set", number=99, status="Done") == "not_found"
    assert await fails("summary", {"number": 2}) == "not_found"
    assert await fails("summary", {"owner": "nobody"}) == "not_found"
    assert await fails("summary", {"field": "Nope"}) == "not_found"
    assert await fails("summary", {"field": "Title"}) == "not_found"
    assert await fails("summary", {"owner": ""}) == "tool_off"
    board._issue = lambda **_: {"repository": {"issue": None}}
    assert await fails("set", number=1, status="Done") == "not_found"


async def test_too_many_items(fails, board, monkeypatch):
    monkeypatch.setattr(project_status, "_LOOKED", 2)
    assert await fails("summary") == "too_large"


def test_what_it_may_says_what_it_is():
    spec = builtin("project_status", ToolPlan(type="builtin", config={**CONFIG, "actions": ["summary"]})).spec
    assert (spec.mutates, spec.risk) == (False, "low")
    spec = builtin("project_status", ToolPlan(type="builtin", config=CONFIG)).spec
    assert (spec.mutates, spec.repeat_safe) == (True, True)
    assert "project 1 of acme" in spec.description
