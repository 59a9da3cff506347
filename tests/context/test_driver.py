"""``context`` effects: what is asked is checked, what was acknowledged is there, and a run sees its own scopes only."""

import asyncio
import random
from itertools import count

import msgspec
import pytest

from clew.context import turns
from clew.context.driver import ContextDriver
from clew.context.embed import offline
from clew.context.store import ContextStore
from clew.core.errors import Failure
from clew.core.events import Principal
from clew.gate.effect import Effect
from clew.gate.ports.context import Put, Relation


@pytest.fixture
def stores(tmp_path, ticking):
    """Tenant -> its store in one state directory."""
    made = {}

    def of(tenant):
        if tenant not in made:
            made[tenant] = ContextStore(tmp_path / "state", tenant, now=ticking)
        return made[tenant]

    yield of
    for store in made.values():
        store.close()


@pytest.fixture
def ask(stores):
    """``await ask("search", {…})`` as a run of a project does it."""

    keys = count(100)

    async def perform(name, request, *, project="p", run="r1", key="", session="", tenant="t"):
        effect = Effect(
            key=key or f"t/n#1/{next(keys)}", kind="context", name=name, request=request, task="t", node="n", run=run,
            principal=Principal(tenant=tenant, session=session),
        )  # fmt: skip
        answer = await ContextDriver(project, stores).perform(effect)
        return msgspec.json.decode(msgspec.json.encode(answer))  # what is recorded is JSON

    return perform


@pytest.fixture
def keep(ask):
    async def write(*documents, **where):
        scope = where.pop("scope", "project")
        made = [{"id": one, "text": one} if isinstance(one, str) else one for one in documents]
        return (await ask("put", {"scope": scope, "documents": made}, **where))["versions"]

    return write


async def failure_of(awaitable):
    with pytest.raises(Failure) as caught:
        await awaitable
    return caught.value


def ids(found):
    return [hit["doc_id"] for hit in found["hits"]]


async def test_written_found_and_removed(ask, keep):
    assert await keep({"id": "a", "text": "red apples", "metadata": {"n": 1}}, "pears") == {"a": 1, "pears": 1}
    found = await ask("search", {"text": "apples", "config": {"k": 1}})
    (hit,) = found["hits"]
    assert (hit["doc_id"], hit["scope"], hit["metadata"], hit["version"]) == ("a", "project", {"n": 1}, 1)
    assert found["explain"]["project"]["documents"] == 2
    assert await ask("remove", {"ids": ["a", "nobody"]}) == {"versions": {"a": 0, "nobody": 0}}
    assert ids(await ask("search", {"text": "apples"})) == ["pears"] or not ids(await ask("search", {"text": "apples"}))


async def test_a_run_sees_its_own_scopes_only(ask, keep):
    await keep("mine")
    await keep("ours", scope="session", session="s")
    await keep("now", scope="task")
    await keep("everyone", scope="global")
    everything = {"scopes": ["global", "project", "session", "task"], "text": "mine ours now everyone"}

    async def seen(**where):
        return set(ids(await ask("search", everything, **where)))

    assert await seen(session="s") == {"mine", "ours", "now", "everyone"}
    assert await seen(session="other", run="r2") == {"mine", "everyone"}
    assert await seen(session="s", project="q", run="r2") == {"ours", "everyone"}
    assert await seen(session="s", tenant="other") == set()


async def test_without_a_session_there_is_no_session_memory(ask):
    for name, request in (
        ("search", {"text": "x", "scopes": ["session"]}),
        ("put", {"scope": "session", "documents": [{"id": "a"}]}),
        ("remove", {"scope": "session", "ids": ["a"]}),
    ):
        failure = await failure_of(ask(name, request))
        assert (failure.code, failure.hint) == ("no_session", "clew run --session NAME")


async def test_what_was_written_before_a_crash_is_not_written_twice(ask, keep):
    assert await keep({"id": "a", "text": "x", "expected": 0}, key="t/n#1/1") == {"a": 1}
    assert await keep({"id": "a", "text": "x", "expected": 0}, key="t/n#1/1") == {"a": 1}, "the same effect, repeated"
    failure = await failure_of(keep({"id": "a", "text": "y", "expected": 0}, key="t/n#1/2"))
    assert failure.code == "version_conflict"
    assert "version 1" in failure.message


async def test_merged_once_and_conflicts_are_told(ask, keep, stores):
    await keep({"id": "a", "text": "x\n-\ny\n", "metadata": {"k": 1}})
    await keep({"id": "a", "text": "X\n-\ny\n", "metadata": {"k": 1}})
    asked = {"id": "a", "text": "x\n-\nz\n", "base": 1}
    merged = await ask("merge", asked, key="t/n#1/1.merge1")
    assert merged == {"version": 3, "text": "X\n-\nz\n", "metadata": {"k": 1}, "written": True, "settled": []}
    await keep({"id": "a", "text": "gone on\n"})
    assert await ask("merge", asked, key="t/n#1/1.merge1") == merged, "the same effect, repeated"
    found = await ask("merge", asked)
    assert (found["version"], found["count"], [one["part"] for one in found["conflicts"]]) == (4, 1, ["text"])
    with stores("t").using("project:p") as collection:
        assert collection.log.history("a")[-1].version == 4


async def test_a_merge_of_nothing_is_a_put(ask):
    found = await ask("merge", {"id": "a", "text": "x", "base": 0, "scope": "task", "metadata": {"n": 1}})
    assert (found["version"], found["metadata"]) == (1, {"n": 1})
    assert (await failure_of(ask("merge", {"id": "b", "text": "x", "base": 3}))).code == "not_found"


async def test_all_or_nothing(ask, keep):
    await keep("a")
    await failure_of(keep("b", {"id": "a", "expected": 7}, key="t/n#1/2"))
    assert ids(await ask("search", {"text": "b"})) != ["b"]


@pytest.mark.parametrize(
    ("name", "request_", "said"),
    [
        ("forget", {}, "no context effect 'forget'"),
        ("search", None, "Expected `object`"),
        ("search", {"text": 1}, r"$.text"),
        ("search", {"text": ""}, "empty"),
        ("search", {"text": "x", "scopes": ["projects"]}, "projects"),
        ("search", {"text": "x", "scopes": "project"}, "$.scopes"),
        ("search", {"text": "x", "config": {"k": 0}}, "k is 0"),
        ("search", {"text": "x", "config": {"k": "ten"}}, "$.config.k"),
        ("search", {"text": "x", "config": {"dense_weight": -1}}, "dense_weight is -1"),
        ("search", {"text": "x", "filter": {"op": "?"}}, "filter"),
        ("search", {"text": "x", "filter": []}, "$.filter"),
        ("search", {"text": "x", "surprise": 1}, "surprise"),
        ("merge", {"id": "a", "text": "x"}, "base"),
        ("merge", {"id": "a", "text": "x", "base": None}, "$.base"),
        ("merge", {"id": "a", "text": "x", "base": 1, "metadata": []}, "$.metadata"),
        ("merge", {"id": "a", "text": "x", "base": 1, "settled": {"x": 1}}, "settled"),
        ("merge", {"id": "", "text": "x", "base": 0}, "document id"),
        ("put", {"documents": [{"text": "x"}]}, "id"),
        ("put", {"documents": [{"id": ""}]}, "''"),
        ("put", {"documents": [{"id": "a\0b"}]}, "NUL"),
        ("put", {"documents": [{"id": "x" * 10_000}]}, "1000"),
        ("put", {"documents": [{"id": "a", "text": "\ud800"}]}, "no Unicode text"),
        ("put", {"documents": [{"id": "a", "metadata": {"x": "\ud800"}}]}, "metadata"),
        ("put", {"documents": [{"id": "a", "expected": -1}]}, "-1"),
        ("put", {"documents": [{"id": "a", "metadata": []}]}, "$.documents[0].metadata"),
        ("put", {"documents": {"id": "a"}}, "$.documents"),
        ("remove", {"ids": "abc"}, "$.ids"),
        ("remove", {"ids": [1]}, "$.ids[0]"),
        ("assemble", {"profile": "p", "policy": "best"}, "$.policy"),
        ("assemble", {}, "profile"),
        ("assemble", {"profile": "p", "config": {"k": 10**9}}, "k is 1000000000"),
    ],
)
async def test_what_makes_no_sense_is_said(ask, name, request_, said):
    failure = await failure_of(ask(name, request_))
    assert failure.code in ("invalid_request", "version_conflict")
    assert said in failure.message


def nested(levels):
    value = {}
    for _ in range(levels):
        value = {"x": value}
    return value


@pytest.mark.parametrize("metadata", [nested(150), nested(980), nested(5000)])
async def test_odd_metadata_is_not_merged(ask, keep, metadata):
    await keep({"id": "a", "text": "a"})
    failure = await failure_of(ask("merge", {"id": "a", "text": "b", "base": 1, "metadata": metadata}))
    assert failure.code == "invalid_request"


@pytest.mark.parametrize("metadata", [nested(5000), {"x": float("nan")}, {"x": 2**70}, {"x": float("inf")}])
async def test_odd_metadata_is_refused_or_kept(ask, keep, metadata):
    try:
        await keep({"id": "a", "text": "a", "metadata": metadata})
    except Failure as failure:
        assert failure.code == "invalid_request"  # noqa: PT017 - both are right
    else:
        await ask("search", {"text": "a"})


async def test_a_filter_that_is_too_deep_is_said(ask, keep):
    await keep("a")
    deep = {"term": {"x": 1}}
    for _ in range(1000):
        deep = {"op": "not", "args": [deep]}
    failure = await failure_of(ask("search", {"text": "a", "filter": deep}))
    assert "32 levels" in failure.message


async def test_a_long_text_is_cut_in_what_is_found(ask, keep):
    await keep({"id": "a", "text": "word " * 10_000})
    (hit,) = (await ask("search", {"text": "word"}))["hits"]
    assert hit["text"].endswith("[cut: 20,000 of 50,000 characters]")


async def test_what_a_search_gives_is_bounded_in_all(ask, keep):
    await keep(*({"id": f"d{i:03}", "text": f"pump {i} " + "x" * 15_000, "metadata": {"n": i}} for i in range(40)))
    hits = (await ask("search", {"text": "pump", "config": {"k": 40}}))["hits"]
    assert len(hits) == 40
    assert len(msgspec.json.encode(hits)) < 230_000
    assert "[cut" not in hits[0]["text"]
    assert hits[0]["metadata"]
    assert hits[-1]["text"].startswith("\n[cut: 0 of 15,0")
    assert sum("[cut: " in hit["text"] for hit in hits) > 20


async def test_metadata_that_is_too_large_is_left_out_and_says_so(ask, keep):
    await keep({"id": "a", "text": "the pump leaks", "metadata": {"big": "x" * 30_000}}, scope="global")
    (hit,) = (await ask("search", {"text": "pump", "scopes": ["global"]}))["hits"]
    assert hit["metadata"] == {"cut": "metadata of 30,010 bytes"}
    (item,) = (await ask("assemble", {"profile": "p", "query": "pump", "sources": [{"scope": "global"}]}))["items"]
    assert item["metadata"] == hit["metadata"]


async def test_several_scopes_are_searched_with_the_same_weights(ask, keep, monkeypatch):
    monkeypatch.setattr(offline, "SAMPLE", 80)
    words = [f"{chr(97 + i)}{chr(97 + j)}lo" for i in range(8) for j in range(8)]
    chance = random.Random(5)
    many = [{"id": f"d{i}", "text": " ".join(chance.choices(words, k=12))} for i in range(160)]
    await keep(*many, scope="global")
    await keep("aalo balo")
    found = await ask("search", {"text": "aalo balo", "scopes": ["global"], "config": {"deterministic": True}})
    assert found["explain"]["global"]["weights"] == "halves"
    found = await ask("search", {"text": "aalo balo", "scopes": ["project", "global"]})
    assert {one["lists"]["sparse"]["weight"] for one in found["explain"].values()} == {0.5}


@pytest.mark.parametrize("by", ["", "somebody"])
async def test_relations_from_elsewhere_stay_with_the_same_text(ask, keep, stores, by):
    fact = Relation(subject="Ann", relation="owns", object="Pump 7", by=by)
    await keep("nothing in particular")
    with stores("t").using("project:p") as collection:
        collection.write([Put(id="a", text="the pump", relations=(fact,))])
        await keep({"id": "a", "text": "the pump", "metadata": {"k": 1}})
        assert collection.get("a").relations == (fact,)
        await keep({"id": "a", "text": "Ann Lee leads Search Core."})
        assert "Ann Lee" in {one.subject for one in collection.get("a").relations}


async def test_the_best_of_all_scopes_come_first(ask, keep):
    await keep("red apples", scope="global")
    await keep("red apples and pears")
    found = await ask("search", {"text": "red apples", "scopes": ["global", "project", "global"], "config": {"k": 1}})
    assert len(found["hits"]) == 1
    assert set(found["explain"]) == {"global", "project"}


# -- what a node is shown ----------------------------------------------------------------------------------------


async def test_assembled_from_what_there_is(ask, keep):
    await keep({"id": "a", "text": "The pump leaks.", "metadata": {"tags": ["notes"]}}, "The pump is red.")
    asked = {"profile": "p", "query": "pump", "sources": [{"scope": "project", "tags": ["notes"]}, {"scope": "task"}]}
    made = await ask("assemble", asked)
    assert [item["id"] for item in made["items"]] == ["a"]
    assert (made["profile"], made["policy"], made["budget"]) == ("p", "hybrid", 4000)
    assert made["tokens"] <= made["budget"]


@pytest.mark.parametrize("policy", ["recency", "semantic", "hybrid"])
async def test_what_fits_is_shown_unless_fewer_are_asked_for(ask, keep, policy):
    await keep(*({"id": f"d{i}", "text": f"pump number {i}"} for i in range(30)))
    asked = {"profile": "p", "query": "pump", "policy": policy, "sources": [{"scope": "project"}]}
    assert len((await ask("assemble", asked))["items"]) == 30
    assert len((await ask("assemble", asked | {"config": {"k": 3}}))["items"]) == 3


@pytest.mark.parametrize("most", [0, 1, 64])
async def test_a_budget_is_never_exceeded(ask, keep, most):
    await keep(*({"id": f"d{i}", "text": f"the pump leaks {i} " * 50} for i in range(5)))
    made = await ask(
        "assemble", {"profile": "p", "query": "pump", "sources": [{"scope": "project"}], "max_tokens": most}
    )
    assert made["tokens"] <= most
    assert made["left_out"]


@pytest.mark.parametrize("policy", ["recency", "semantic", "hybrid"])
@pytest.mark.parametrize("query", ["pump", "", " ", "?!", "\x00", "x" * 100_000])
async def test_every_policy_takes_every_query(ask, keep, policy, query):
    await keep("the pump leaks", "bread")
    await ask("assemble", {"profile": "p", "query": query, "policy": policy, "sources": [{"scope": "project"}]})


@pytest.mark.parametrize("policy", ["semantic", "hybrid"])
async def test_with_nothing_to_search_for_the_latest_come_first(ask, keep, policy):
    for one in ("c", "a", "b"):
        await keep(one)
    asked = {"profile": "p", "query": " ", "policy": policy, "sources": [{"scope": "project"}]}
    made = await ask("assemble", asked)
    assert [item["id"] for item in made["items"]] == ["b", "a", "c"]
    assert made["policy"] == "recency"
    assert all(item["reason"].startswith("among the latest") for item in made["items"])


async def test_a_conversation_is_assembled_without_its_turns_as_documents(ask, keep):
    said = [
        {"id": f"turn:{i}", "text": f"We talk of pump {i}.", "metadata": {"kind": "turn", "role": "user"}}
        for i in range(4)
    ]
    await keep(*said, "the pump leaks", scope="session", session="s")
    asked = {"profile": "p", "query": "pump", "sources": [{"scope": "session"}], "conversation": True}
    made = await ask("assemble", asked, session="s")
    assert [item["id"] for item in made["items"]] == ["the pump leaks"]
    assert made["conversation"]["turns"] == 4
    assert made["conversation"]["text"].index("pump 0") < made["conversation"]["text"].index("pump 3")
    assert (await ask("assemble", asked))["items"] == [], "a run without a session is served all the same"
    assert "conversation" not in await ask("assemble", asked, session="fresh")


def turn(i, text, **told):
    return {"id": f"turn:{i:05}", "text": text, "metadata": {"kind": "turn", "role": "user"} | told}


CHAT = {"profile": "p", "query": "pump", "sources": [{"scope": "session"}], "conversation": True}


@pytest.mark.parametrize("most", [0, 1, 64, 200, 4000])
async def test_a_conversation_leaves_room_for_documents(ask, keep, most):
    long = [turn(i, f"We talk of pump {i}. " * 300) for i in range(12)]
    await keep(*long, {"id": "note", "text": "the pump leaks"}, scope="session", session="s")
    made = await ask("assemble", CHAT | {"max_tokens": most}, session="s")
    assert made["tokens"] <= most
    assert made["conversation"]["tokens"] <= most * 3 // 4
    assert [item["id"] for item in made["items"]] == (["note"] if most >= 64 else [])


@pytest.fixture
def short(monkeypatch):
    """A tenth of the turns that are read, and folded, at once."""
    monkeypatch.setattr(turns, "MOST_TURNS", 100)
    monkeypatch.setattr(turns, "_FOLD_AT", 80)
    monkeypatch.setattr(turns, "_LEFT", 40)


DIGEST = {"scopes": ["session"], "text": "part", "filter": {"term": {"kind": "digest"}}}


@pytest.mark.usefixtures("short")
async def test_of_a_very_long_conversation_nothing_decided_is_lost(ask, keep):
    for start in range(0, 260, 20):
        told = [turn(start + i, f"Turn {start + i} of pump {i % 7}.") for i in range(20)]
        told[5] = turn(start + 5, f"Part {start} ships on Friday", decision=True)
        await keep(*told, scope="session", session="s")
    made = await ask("assemble", CHAT | {"max_tokens": 8000}, session="s")
    text = made["conversation"]["text"]
    assert all(f"Part {start} ships on Friday" in text for start in range(0, 260, 20))
    assert made["conversation"]["decisions"] == 13
    assert "[user, turn 6]" in text
    assert text.endswith("user: Turn 259 of pump 5.")
    assert made["items"] == [], "what the older turns are folded into is no document"
    (digest,) = (await ask("search", DIGEST, session="s"))["hits"]
    assert digest["metadata"]["turns"] >= 140


async def test_what_was_there_before_is_folded_whole(ask, keep, monkeypatch):
    """As of a session that others filled."""
    await keep(*(turn(i, f"Turn {i}.", decision=i == 3) for i in range(300)), scope="session", session="s")
    monkeypatch.setattr(turns, "_FOLD_AT", 80)
    await keep(turn(300, "Go on."), scope="session", session="s")
    made = await ask("assemble", CHAT, session="s")
    assert "[user, turn 4] Turn 3." in made["conversation"]["text"]


async def test_long_turns_are_folded_before_there_are_many(ask, keep, monkeypatch):
    """Each assembled context reads all that is not folded."""
    monkeypatch.setattr(turns, "_FOLD_CHARACTERS", 200_000)
    for i in range(12):
        text = f"Part {i} ships on Friday, we agreed. " + f"Filler {i} is long. " * 1200
        await keep(turn(i, text), scope="session", session="s")
    (digest,) = (await ask("search", DIGEST, session="s"))["hits"]
    assert 4 <= digest["metadata"]["turns"] < 12
    made = await ask("assemble", CHAT, session="s")
    assert all(f"Part {i} ships on Friday, we agreed." in made["conversation"]["text"] for i in range(12))
    assert made["tokens"] <= 4000


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"place": "x", "turns": 1},
        {"place": 1},
        {"place": -5, "turns": -1, "decisions": [7]},
        {"kind": "digest", "place": 10**12, "turns": 5},
    ],
)
async def test_a_digest_that_is_none_is_made_anew(ask, keep, metadata):
    await keep(
        {"id": "conversation:digest", "text": "user: I own it.", "metadata": metadata}, scope="session", session="s"
    )
    await keep(*(turn(i, f"Turn {i}.") for i in range(30)), scope="session", session="s")
    assert "I own it" not in (await ask("assemble", CHAT, session="s"))["conversation"]["text"]
    await keep(*(turn(i, f"Turn {i}.") for i in range(30, 900)), scope="session", session="s")
    made = await ask("assemble", CHAT, session="s")
    assert made["conversation"]["tokens_before"] > 900 * 4
    assert "I own it" not in made["conversation"]["text"]


SUMMARISE = {"keep_turns": 2, "summarise_after": 4, "max_tokens": 4000}


async def test_an_agents_summary_is_asked_for_kept_and_shown(ask):
    made = {"scope": "session", "documents": [turn(i, f"Turn {i}.") for i in range(6)], "summarise": SUMMARISE}
    put = await ask("put", made, session="s", key="t/n#1/turn")
    assert put["versions"] == {f"turn:{i:05}": 1 for i in range(6)}
    assert await ask("put", made, session="s", key="t/n#1/turn") == put, "the same effect, repeated"
    due = put["due"]
    assert [one["text"] for one in due["material"]["turns"]] == ["Turn 0.", "Turn 1.", "Turn 2.", "Turn 3."]
    answer = {"base": due["base"], "upto": due["upto"], "by": "clerk"}
    assert await ask("summarise", answer | {"why": "gone", "code": "x"}, session="s") == {
        "by": "clerk", "why": "gone", "code": "x"
    }  # fmt: skip
    assert (await ask("summarise", answer | {"points": ["It began."]}, session="s"))["points"] == 1
    told = (await ask("assemble", CHAT | {"keep_turns": 2, "summarise_after": 4}, session="s"))["conversation"]
    assert "- It began.\n\nuser: Turn 4." in told["text"]
    assert (told["by"], told["summarised"], told["turns"]) == ("clerk", 4, 2)
    assert told["tokens_before"] == 6 * 6
    assert (await failure_of(ask("summarise", answer))).code == "no_session"


async def test_of_many_turns_at_once_every_summary_is_asked_for_once(ask):
    async def add(i):
        made = {"scope": "session", "documents": [turn(i, f"Turn {i}.")], "summarise": SUMMARISE}
        return await ask("put", made, session="s", key=f"t/n#1/{i}", run=f"r{i}")

    put = await asyncio.gather(*(add(i) for i in range(30)))
    due = [one["due"]["upto"] for one in put if "due" in one]
    assert 1 <= len(due) <= 30 / 2
    assert len(set(due)) == len(due)
    told = (await ask("assemble", CHAT, session="s"))["conversation"]
    assert told["tokens_before"] >= 30 * 6, "every turn is counted"


async def test_turns_with_odd_metadata_are_turns(ask, keep):
    odd = [
        {"id": f"t{i}", "text": "x", "metadata": {"kind": "turn", "role": role}} for i, role in enumerate([None, 7, []])
    ]
    await keep(*odd, scope="session", session="s")
    made = await ask("assemble", {"profile": "p", "conversation": True}, session="s")
    assert made["conversation"]["turns"] == 3


async def test_many_at_once(ask, keep):
    await asyncio.gather(*(keep(f"d{i}", key=f"t/n#1/{i}") for i in range(20)))
    found = await ask("search", {"text": " ".join(f"d{i}" for i in range(20)), "config": {"k": 50}})
    assert len(found["hits"]) == 20


# -- what the machine does ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["search", "put", "assemble"])
async def test_a_damaged_log_is_said_with_its_place(ask, keep, tmp_path, stores, name):
    await keep("a")
    stores("t").close()
    (truth,) = tmp_path.rglob("truth.db")
    for one in truth.parent.glob("truth.db-*"):
        one.unlink()
    truth.write_bytes(b"no log " * 100)
    requests = {
        "search": {"text": "a"}, "put": {"documents": [{"id": "b"}]},
        "assemble": {"profile": "p", "sources": [{"scope": "project"}]},
    }  # fmt: skip
    failure = await failure_of(ask(name, requests[name]))
    assert failure.code == "context_unavailable"
    assert str(truth) in failure.message
    assert failure.hint


async def test_a_folder_that_cannot_be_made_is_said(ask, tmp_path):
    (tmp_path / "state").write_text("a file where the state directory is to be")
    failure = await failure_of(ask("put", {"documents": [{"id": "a"}]}))
    assert str(tmp_path / "state") in failure.message
    assert failure.code == "context_unavailable"
