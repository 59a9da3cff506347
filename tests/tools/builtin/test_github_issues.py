from types import SimpleNamespace

import pytest

from clew.core.errors import Failure, UsageError
from clew.gate.door import Door
from clew.gate.effect import Effect
from clew.manifest.compiled import Permissions, ToolPlan
from clew.testing import MemoryRecord
from clew.tools.builtin import builtin, github_issues
from clew.tools.driver import Means, ToolDriver

CONFIG = {"repos": ["acme/app"], "credential": "key"}


@pytest.fixture
def use(ask, github):
    async def call(action, config=None, key="run:key", **args):
        settings = {**CONFIG, "base_url": github.site.url, **(config or {})}
        return await ask("github_issues", settings, {"action": action, **args}, key=key)

    return call


@pytest.fixture
def fails(use):
    async def call(*args, **kwargs):
        with pytest.raises(Failure) as caught:
            await use(*args, **kwargs)
        return caught.value.code

    return call


async def test_the_life_of_an_issue(use, github):
    made = await use("create", title=" Broken ", body="It is.", labels=["bug"], assignees=["octocat"], milestone=3)
    assert (made["issue"]["number"], made["issue"]["title"], made["issue"]["body"]) == (1, "Broken", "It is.")
    assert made["issue"]["url"] == "https://github.com/acme/app/issues/1"
    assert not made["found_again"]
    sent = github.asked("POST")[0][2]
    assert (sent["labels"], sent["assignees"], sent["milestone"]) == (["bug"], ["octocat"], 3)
    assert sent["body"].startswith("It is.\n\n<!-- clew:")
    assert (await use("update", number=1, title="Mended"))["issue"]["title"] == "Mended"
    assert (await use("comment", number=1, body="Done."))["comment"]["body"] == "Done."
    closed = await use("close", number=1, reason="not_planned")
    assert (closed["issue"]["state"], closed["issue"]["reason"]) == ("closed", "not_planned")
    shown = await use("get", number=1)
    assert [one["body"] for one in shown["comments"]] == ["Done."]
    assert (shown["issue"]["author"], shown["issue"]["labels"], shown["issue"]["milestone"]) == (
        "octocat",
        ["bug"],
        None,
    )
    assert (await use("update", number=1, state="open"))["issue"]["state"] == "open"
    await use("update", number=1, state="closed", reason="completed")
    assert github.asked("PATCH")[-1][2] == {"state": "closed", "state_reason": "completed"}


async def test_a_create_in_doubt_finds_what_it_made(use, github):
    first = await use("create", title="A", key="run1:task/node#1/3")
    for number in range(3):
        github.add(f"later {number}")
    again = await use("create", title="A", key="run1:task/node#1/3")
    assert (again["found_again"], again["issue"]["number"]) == (True, first["issue"]["number"])
    assert len(github.asked("POST")) == 1
    other = await use("create", title="A", key="run2:task/node#1/3")
    assert not other["found_again"]
    assert "run1" not in github.issues[0]["body"]


@pytest.mark.parametrize(("on_in_doubt", "made"), [("retry", True), ("fail", False)])
async def test_killed_between_create_and_record(github, keys, tmp_path, on_in_doubt, made):
    config = {**CONFIG, "base_url": github.site.url}
    plan = ToolPlan(type="builtin", config=config, permissions=Permissions(network=True), on_in_doubt=on_in_doubt)
    tool = builtin("github_issues", plan)
    driver = ToolDriver(
        SimpleNamespace(tools={tool.spec.id: plan}), tmp_path, {tool.spec.id: tool}, Means(secrets=keys)
    )
    record = MemoryRecord()
    effect = Effect(
        key="t/n#1/1", kind="tool", name="github_issues", request={"action": "create", "title": "A"}, task="t", node="n",
        run="r", repeat_safe=tool.spec.repeat_safe, on_in_doubt=plan.on_in_doubt,
    )  # fmt: skip
    assert (await Door(record, (), {"tool": driver}).perform(effect)).value()["issue"]["number"] == 1
    record.forget_outcome(effect.key)
    again = await Door(record, (), {"tool": driver}).perform(effect)
    assert len(github.issues) == 1
    if made:
        assert (again.value()["issue"]["number"], again.value()["found_again"]) == (1, True)
    else:
        assert again.error["code"] == "in_doubt"


@pytest.mark.parametrize("action", ["create", "comment"])
async def test_no_answer_to_what_was_done(use, github, action):
    github.add("first")
    inner = github.site.answer

    def cut_off(method, *request):
        answer = inner(method, *request)
        return b"" if method == "POST" else answer

    github.site.answer = cut_off
    result = await use(action, **({"title": "A"} if action == "create" else {"number": 1, "body": "B"}))
    assert result["found_again"]
    assert len(github.asked("POST")) == 1


async def test_no_answer_and_nothing_done(use, github):
    inner = github.site.answer
    github.site.answer = lambda method, *request: (502, b"") if method == "POST" else inner(method, *request)
    with pytest.raises(Failure, match="look before you do it again") as caught:
        await use("create", title="A")
    assert caught.value.code == "github_error"


async def test_who_copies_a_mark_is_not_taken_for_it(use, github):
    await use("create", title="A", key="k")
    copied = github.issues.pop()["body"]
    github.add("other title", copied)
    assert not (await use("create", title="A", key="k"))["found_again"]


async def test_it_does_not_look_for_ever(use, github):
    for number in range(20):
        github.add(f"{number}")
    await use("create", title="A")
    assert len(github.asked("GET")) == github_issues._LOOKED


async def test_a_comment_in_doubt_finds_what_it_made(use, github, monkeypatch):
    github.add("A")
    for number in range(5):
        github.comment(1, f"{number}")
    github.page = 100
    first = await use("comment", number=1, body="Hello", key="k")
    again = await use("comment", number=1, body="Hello", key="k")
    assert (again["found_again"], again["comment"]["id"]) == (True, first["comment"]["id"])
    assert not (await use("comment", number=1, body="Hello", key="other"))["found_again"]
    assert len(github.comments[1]) == 7


async def test_list_reads_pages_and_leaves_out_pull_requests(use, github):
    for number in range(5):
        github.add(f"{number}", **({"pull_request": {"url": "x"}} if number == 2 else {}))
    github.issues[0]["state"] = "closed"
    result = await use("list", labels=["a", "b"], assignees=["octocat"])
    assert [one["title"] for one in result["issues"]] == ["4", "3", "1"]
    assert not result["truncated"]
    assert "body" not in result["issues"][0]
    query = github.asked()[0][1]
    assert "labels=a%2Cb" in query
    assert "assignee=octocat" in query
    result = await use("list", state="all", limit=2)
    assert ([one["title"] for one in result["issues"]], result["truncated"]) == (["4", "3"], True)


async def test_a_list_is_not_read_for_ever(use, github, monkeypatch):
    monkeypatch.setattr(github_issues, "_PAGES", 2)
    for number in range(9):
        github.add(f"{number}", pull_request={"url": "x"})
    result = await use("list")
    assert (result["issues"], result["truncated"]) == ([], True)
    assert len(github.asked("GET")) == 3


async def test_comments_are_bounded(use, github):
    github.add("A", "x" * 30_000, labels=["plain"], user=None, assignees=None)
    for number in range(5):
        github.comment(1, f"{number}")
    shown = await use("get", number=1, limit=3)
    assert ([one["body"] for one in shown["comments"]], shown["truncated"]) == (["0", "1", "2"], True)
    assert (len(shown["issue"]["body"]), shown["issue"]["body_truncated"]) == (20_000, True)
    assert (shown["issue"]["author"], shown["issue"]["labels"], shown["issue"]["assignees"]) == (None, ["plain"], [])


async def test_renamed_repositories(use, github):
    github.add("A")
    result = await use("list", {"repos": ["acme/old"]})
    assert len(result["issues"]) == 1


async def test_which_repository(use, fails, github):
    github.add("A")
    both = {"repos": ["acme/app", "acme/other"]}
    assert (await use("list", both, repo="ACME/App"))["repo"] == "acme/app"
    assert await fails("list", both) == "repo_not_allowed"
    assert await fails("list", repo="acme/secret") == "repo_not_allowed"
    assert await fails("list", repo="../..") == "invalid_arguments"


@pytest.mark.parametrize(
    ("action", "args"),
    [
        ("get", {}),
        ("create", {}),
        ("create", {"title": ""}),
        ("create", {"title": "x" * 300}),
        ("update", {"number": 1}),
        ("update", {"number": 1, "state": "all"}),
        ("comment", {"number": 1}),
        ("close", {"number": 0}),
        ("delete", {"number": 1}),
    ],
)
async def test_arguments(fails, github, action, args):
    assert await fails(action, **args) == "invalid_arguments"
    assert github.asked() == []


async def test_refused(fails, github, keys):
    assert await fails("get", number=9) == "not_found"
    assert await fails("create", title="A", labels=["label-that-is-refused"]) == "refused"
    github.refusal = 429, {"message": "slow"}, [("Retry-After", "3")]
    assert await fails("list") == "rate_limited"
    github.refusal = None
    keys._values["key"] = "another"
    assert await fails("list") == "unauthorised"
    keys._values.clear()
    assert await fails("list") == "no_credential"


@pytest.mark.parametrize("config", [{"repos": []}, {"credential": ""}, {"actions": ["close"]}])
async def test_off_or_narrowed(fails, github, config):
    assert await fails("list", config) in ("tool_off", "invalid_arguments")
    assert github.asked() == []


async def test_off_without_the_network(ask):
    with pytest.raises(Failure) as caught:
        await ask("github_issues", CONFIG, {"action": "list"}, network=False)
    assert caught.value.code == "tool_off"


def test_what_it_may_says_what_it_is():
    def spec(**config):
        return builtin("github_issues", ToolPlan(type="builtin", config={**CONFIG, **config})).spec

    assert (spec().mutates, spec().repeat_safe, spec().risk) == (True, False, "high")
    reading = spec(actions=["list", "get"])
    assert (reading.mutates, reading.repeat_safe, reading.risk) == (False, True, "low")
    assert reading.inputs["properties"]["action"] == {"enum": ["list", "get"]}
    with pytest.raises(UsageError, match="base_url"):
        spec(base_url="http://github.example.org")
