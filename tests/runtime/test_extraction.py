"""An agent reads the documents that runs keep: recorded, and done without where it fails."""

import pytest

from clew.context.graph.walk import When
from clew.core import events as ev
from clew.service.context import opened
from clew.service.runs import RunRequest
from clew.service.settings import Settings
from clew.testing import FakeProvider, ScriptedModel
from clew.testing.provider import Step

HANDLERS = """
    async def keep(input, ctx):
        return [await ctx.remember(name, text) for name, text in input.items()]

    async def both(input, ctx):
        return await ctx.gather(*(ctx.remember(name, text) for name, text in input.items()))
"""
TEXT = "As for Search-Core, it was Ann Lee who took it over in May 2021."
NOTE = {"team": TEXT}
ANSWER = {
    "entities": [{"name": "Ann Lee", "aliases": []}, {"name": "Search-Core"}],
    "relations": [
        {"source": "Ann Lee", "relation": "took over", "target": "Search-Core", "confidence": 0.9, "valid_from": "2021-05"}
    ],
}  # fmt: skip
TOOK = ("Ann Lee", "took over", "Search-Core", "clerk")


@pytest.fixture
def one(project, engine, tmp_path):
    """An engine whose working node has this handler; all of them share one state directory."""

    def make(handler, *answers, url="", memory=None, clerk=None, models=None, **work):
        nodes = [
            {"id": "s", "role": "start"},
            {"id": "a", "role": "linear", **({} if "agent" in work else {"handler": f"handlers:{handler}"}), **work},
            {"id": "x", "role": "exit"},
        ]
        house = {"id": "p", "type": "openai_compatible", "base_url": (url or "http://127.0.0.1:1") + "/v1",
                 "prices": {"input": 2, "output": 4}}  # fmt: skip
        sections = {
            "memory": {
                "extraction": {"agent": "clerk"},
                "context_profiles": [{"id": "chat", "sources": [{"store": "session"}]}],
                **(memory or {}),
            },
            "providers": [house],
            **({"models": models} if models else {}),
            "agents": [{"id": "clerk", "model": "p/m", "instructions": "Read with care.", **(clerk or {})}],
        }
        made = engine(project(nodes, "s>a>x", HANDLERS, **sections), state=str(tmp_path / "state"))
        if not url:
            made._models = ScriptedModel(*answers)
        return made

    return make


@pytest.fixture
def kept(tmp_path):
    """The relations of a document of the project, and how often it was written."""

    def look(name="team"):
        settings = Settings(state=str(tmp_path / "state"))
        with opened(settings, "project:project") as scoped:
            versions = scoped.collection.log.history(name)
        return [(one.subject, one.relation, one.object, one.by) for one in versions[-1].relations], len(versions)

    return look


def effects(result, kind="context"):
    return [
        r.event for r in result.history if isinstance(r.event.fact, ev.EffectFinished) and r.event.fact.kind == kind
    ]


def said(result):
    (put,) = effects(result)
    return put.payload["output"]["extraction"]


async def test_an_agent_reads_what_a_run_keeps(one, kept):
    keeping = one("keep", ANSWER)
    result = await keeping.run(NOTE)
    assert result.output == [1]
    assert said(result) == {"team": {"by": "clerk", "relations": 3}}
    relations, _ = kept()
    assert TOOK in relations
    (asked,) = effects(result, "model")
    assert asked.fact.key.endswith("/1/extraction0.t1")
    assert (asked.fact.agent, asked.fact.cost == result.cost != "0") == ("clerk", True)
    (request,) = keeping._models.seen
    assert "Read with care." in request.messages[0].parts[0].content
    assert TEXT in request.messages[1].parts[0].content
    assert request.schema["required"] == ["entities", "relations"]
    for handlers in (False, True):
        assert (await keeping.replay(result.run_id, handlers=handlers)).verdict == "identical"
    assert len(keeping._models.seen) == 1


async def test_what_does_not_fit_goes_back_to_the_model(one):
    result = await one("keep", {"entities": []}, f"Here you are:\n```json\n{ANSWER!s}\n```").run(NOTE)
    assert said(result)["team"]["relations"] == 3
    assert [event.fact.key.rpartition(".")[2] for event in effects(result, "model")] == ["t1", "t2"]


async def test_several_at_once(one, kept):
    result = await one("both", ANSWER, ANSWER).run({"a": TEXT, "b": TEXT})
    assert result.output == [1, 1]
    assert TOOK in kept("a")[0]
    assert TOOK in kept("b")[0]


@pytest.mark.parametrize(
    ("answers", "code"),
    [
        ([ScriptedModel.refusal("no")], "refused"),
        (["no JSON"] * 4, "invalid_output"),
        ([{"entities": [{"name": "Bob"}], "relations": []}], "bad_answer"),
        ([], "adapter_error"),
    ],
)
async def test_rules_do_where_the_agent_fails(one, kept, answers, code):
    keeping = one("keep", *answers)
    result = await keeping.run({"team": f"{TEXT} Ann Lee leads Search Core."})
    assert result.output == [1]
    assert (said(result)["team"]["by"], said(result)["team"]["code"]) == ("clerk", code)
    assert said(result)["team"]["why"]
    relations, _ = kept()
    assert ("Ann Lee", "leads", "Search Core", "") in relations
    assert (await keeping.replay(result.run_id, handlers=True)).verdict == "identical"


async def test_a_limit_of_the_agent_is_one(one):
    result = await one("keep", *["no JSON"] * 4, clerk={"limits": {"steps": 2}}).run(NOTE)
    assert said(result)["team"]["code"] == "limit_steps"


async def test_from_a_process_of_its_own(one, kept):
    result = await one("keep", ANSWER, isolation="process").run(NOTE)
    assert said(result) == {"team": {"by": "clerk", "relations": 3}}
    assert TOOK in kept()[0]


async def test_what_was_read_stays_while_nobody_can_be_asked(one, kept):
    await one("keep", ANSWER).run(NOTE)
    before = kept()
    assert (await one("keep", ScriptedModel.refusal()).run(NOTE)).output == [1]
    assert kept() == before
    assert (await one("keep", ANSWER).run(NOTE)).output == [1]
    assert kept() == before
    assert (await one("keep", ScriptedModel.refusal()).run({"team": f"{TEXT} Or not."})).output == [2]
    assert TOOK not in kept()[0]


async def test_a_text_that_is_put_again_is_answered_from_the_cache_of_the_model(one, kept):
    models = {"reader": {"use": ["p/m"], "cache": True}}
    first, again, other = (
        one("keep", ANSWER, models=models, clerk={"model": "reader", "instructions": told})
        for told in ("Read with care.", "Read with care.", "Read with great care.")
    )
    for each in (first, again, other):
        assert said(await each.run(NOTE))["team"]["relations"] == 3
    assert [len(each._models.seen) for each in (first, again, other)] == [1, 0, 1], "asked about what is not the same"
    assert TOOK in kept()[0]
    assert kept()[1] == 1, "nor is anything written"


async def test_nobody_is_asked_about_little_or_what_is_no_text(one):
    keeping = one("keep")
    assert (await keeping.run({"a": "short"})).output == [1]
    assert (await keeping.run({"a": 5})).status == "failure"
    assert not keeping._models.seen


async def test_nobody_is_asked_for_a_put_that_the_mode_forbids(one):
    keeping = one("keep")
    result = await keeping.run(NOTE, None, "analysis_only")
    assert result.status == "failure"
    assert [event.fact.status for event in effects(result, "model")] == ["denied"]
    assert not keeping._models.seen


async def test_of_a_long_text_the_beginning_is_read(one):
    result = await one("keep", ANSWER).run({"team": TEXT + " and so on" * 5000})
    told = said(result)["team"]
    assert (told["read"], told["characters"]) == (24_000, len(TEXT) + 50_000)


async def test_turns_of_a_conversation_are_not_read(one):
    talking = one("", "Hello Ann, what can I do for you today?", kind="agent", agent="clerk", context="chat")
    handle = await talking.start(request=RunRequest(input="I am Ann, and here to ask a question.", session="s"))
    result = await handle.result()
    _, put = effects(result)
    assert set(put.payload["output"]) == {"versions"}
    assert len(talking._models.seen) == 1


async def test_with_vectors_of_a_provider(one, kept):
    async with FakeProvider(Step(text='{"entities": [], "relations": []}'), Step()) as fake:
        result = await one("keep", url=fake.url, memory={"embedding": {"model": "p/small"}}).run(NOTE)
        assert len(fake.seen) == 2
    assert result.output == [1]
    assert said(result) == {"team": {"by": "clerk", "relations": 0}}
    assert effects(result, "embedding")[0].fact.status == "ok"


async def test_what_was_read_before_a_crash_is_not_asked_for_again(one, crash, kept):
    keeping = one("keep", ANSWER)
    with crash(keeping, lambda fact: isinstance(fact, ev.EffectFinished) and fact.kind == "context"):
        handle = await keeping.start(NOTE)
        with pytest.raises(Exception, match="no space"):
            await handle.result()
    await keeping.close()
    again = one("keep")
    (result,) = await again.resume(handle.run_id)
    assert result.output == [1]
    assert said(result) == {"team": {"by": "clerk", "relations": 3}}
    assert not again._models.seen
    relations, written = kept()
    assert (TOOK in relations, written) == (True, 1)


async def test_what_was_read_in_several_documents_is_one_graph(one, tmp_path):
    fact = {"source": "Search-Core", "relation": "lives on", "target": "node-7", "confidence": 1}
    other = {"entities": [{"name": "Search-Core"}, {"name": "node-7"}], "relations": [fact]}
    await one("keep", ANSWER, other).run(NOTE | {"place": "You will find Search-Core at home on node-7, it says."})
    with opened(Settings(state=str(tmp_path / "state")), "project:project") as scoped:
        (path, *_) = scoped.graph("Ann Lee", "node-7", 2, When()).paths
    assert [(fact.relation, fact.document) for fact in path.facts] == [("took over", "team"), ("lives on", "place")]
